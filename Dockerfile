# The binary alone, on a small base: librdkafka and OpenSSL are linked in.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc make perl && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin pipeline

FROM debian:bookworm-slim
RUN useradd --system --no-create-home pipeline
COPY --from=build /src/target/release/pipeline /usr/local/bin/pipeline
USER pipeline
ENTRYPOINT ["pipeline"]
CMD ["run", "factorial.toml"]
