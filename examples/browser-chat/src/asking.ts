import type { Answer, PermissionRequested, Question, QuestionRequested } from "@podium/client/sessions";
import { element, shown } from "./element.ts";

/** What an agent asks, as a form whose title says in short what it is about; `give` gets the answer. */
export function asking(asked: QuestionRequested | PermissionRequested, give: (answer: Answer) => void): HTMLFormElement {
  const form = formOf(asked, give);
  form.title = asked.type === "question_requested" ? asked.questions.map(({ question }) => question).join(" ") : asked.toolName;
  return form;
}

function formOf(asked: QuestionRequested | PermissionRequested, give: (answer: Answer) => void): HTMLFormElement {
  return asked.type === "question_requested" ? questions(asked, give) : permission(asked, give);
}

function permission(asked: PermissionRequested, give: (answer: Answer) => void): HTMLFormElement {
  const options = asked.options.map(({ optionId, name }) =>
    element("button", { type: "button", textContent: name, onclick: () => give({ optionId }) }),
  );
  return element(
    "form",
    { className: "asked", ariaLabel: "Permission" },
    element("p", {}, `May ${asked.toolName} be used?`),
    element("pre", { textContent: shown(asked.args) }),
    element("div", { className: "choices" }, ...options, dismissal(give)),
  );
}

function questions(asked: QuestionRequested, give: (answer: Answer) => void): HTMLFormElement {
  const form = element(
    "form",
    { className: "asked", ariaLabel: "Question" },
    ...asked.questions.map(question),
    element("div", { className: "choices" }, element("button", { type: "submit", textContent: "Answer" }), dismissal(give)),
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const answers = asked.questions.map(({ id, multiple }) => [id, multiple ? data.getAll(id) : data.get(id)]);
    give({ answers: Object.fromEntries(answers) as Record<string, unknown> });
  };
  return form;
}

function question({ id, question: text, options, multiple }: Question): HTMLElement {
  if (options === null) return element("label", {}, text, " ", element("input", { name: id, required: true }));
  const type = multiple ? "checkbox" : "radio";
  const choices = options.map((value) => element("label", {}, element("input", { type, name: id, value, required: !multiple }), ` ${value}`));
  return element("fieldset", {}, element("legend", { textContent: text }), ...choices);
}

function dismissal(give: (answer: Answer) => void): HTMLButtonElement {
  return element("button", { type: "button", textContent: "Dismiss", onclick: () => give({ dismissed: true }) });
}
