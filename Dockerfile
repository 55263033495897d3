# The binary alone, on a small base: librdkafka and OpenSSL are linked in.
FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends make perl && rm -rf /var/lib/apt/lists/*
WORKDIR /pipeline
# `docker build --build-arg PIPELINE_REVISION=$(git rev-parse --short HEAD)`: git is not in the image.
ARG PIPELINE_REVISION=unknown
COPY . .
# The caches stay from one build to the next; what is to be kept is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/pipeline/target \
    cargo build --profile dist --locked && cp target/dist/pipeline /usr/local/bin/pipeline

FROM debian:12.11-slim
# For brokers that are reached over TLS.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/pipeline /usr/local/bin/pipeline
USER nobody
ENTRYPOINT ["pipeline"]
CMD ["run", "factorial.toml"]
