import { BaseAgent } from "@podium/ts";

export class First extends BaseAgent {}
export class Second extends BaseAgent {}
export class Other {}
export const made = async (): Promise<BaseAgent> => new First();
export const wrong = (): unknown => new Other();
export const value = 3;
