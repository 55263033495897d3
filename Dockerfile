# The binary alone, on a small base: librdkafka and OpenSSL are linked in. Beside the two base images, which may come from
# anywhere (`--build-arg DEBIAN=…`), building it wants crates and Debian's packages, and nothing else.
#
#   docker build --build-arg PIPELINE_REVISION=$(git rev-parse --short=12 HEAD) --tag pipeline .
#
# With BuildKit, `SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)` and `--output type=…,rewrite-timestamp=true`, the same commit on the same
# bases makes the same layers: the second stage only copies.
ARG RUST=rust:1.95.0-slim-bookworm
ARG DEBIAN=debian:12.11-slim

FROM $RUST AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates make perl && rm -rf /var/lib/apt/lists/*
# Puts into the binary what it is made of, for `cargo audit bin` and scanners of images.
RUN --mount=type=cache,target=/usr/local/cargo/registry cargo install --quiet --locked cargo-auditable@0.7.7
WORKDIR /pipeline
# git is not in the image.
ARG PIPELINE_REVISION=unknown
COPY . .
# The caches stay from one build to the next; what is to be kept is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/pipeline/target \
    cargo auditable build --profile dist --features wasm --locked && cp target/dist/pipeline /usr/local/bin/pipeline

FROM $DEBIAN
# For brokers that are reached over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/pipeline /usr/local/bin/pipeline
LABEL org.opencontainers.image.title="pipeline" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
USER nobody
ENTRYPOINT ["pipeline"]
CMD ["run", "factorial.toml"]
