#!/usr/bin/env bash
# What `make image-test` builds and runs the image with where there is no Docker: buildah and podman with runc, from the distribution, and
# a base image of the same distribution made by mmdebstrap, since registries of images may be out of reach. Needs root and apt-get.
set -euo pipefail
cd "$(dirname "$0")/.."
if docker info >/dev/null 2>&1; then exit 0; fi

missing=()
for pair in buildah:buildah podman:podman runc:runc mmdebstrap:mmdebstrap; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null
fi

base=.tools/image/bookworm.tar
if [ ! -f "$base" ]; then
    mkdir -p .tools/image
    # Certificates of this host go along: what the build fetches comes by the same ways as everything else here.
    # shellcheck disable=SC2016 # mmdebstrap's shell expands it
    hook='mkdir -p "$1/usr/local/share"; cp -r /usr/local/share/ca-certificates "$1/usr/local/share/"'
    mmdebstrap --quiet --format=tar --variant=minbase --customize-hook="$hook" bookworm "$base.making" \
        "deb http://deb.debian.org/debian bookworm main" \
        "deb http://deb.debian.org/debian bookworm-updates main" \
        "deb http://deb.debian.org/debian-security bookworm-security main" >/dev/null
    mv "$base.making" "$base"
fi
echo "done: $(buildah --version), $(podman --version), $base"
