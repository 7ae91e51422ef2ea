# docker build -t roundel . && docker run --rm -v "$PWD:/work" --user "$(id -u)" roundel quantize ...
FROM debian:12-slim AS build
WORKDIR /src
COPY scripts/install.sh scripts/packages.txt scripts/
RUN scripts/install.sh build && scripts/install.sh package
COPY . .
RUN scripts/package.sh

FROM debian:12-slim
RUN --mount=type=bind,from=build,source=/src/build/packages,target=/packages \
    apt-get update && apt-get install -y --no-install-recommends /packages/roundel_*.deb && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home roundel
USER roundel
WORKDIR /work
ENTRYPOINT ["roundel"]
CMD ["--help"]
