# The one image: docker-compose.yml builds it.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin spanseal

FROM debian:bookworm-slim
RUN useradd --system --home-dir /var/lib/spanseal --create-home spanseal && chmod 700 /var/lib/spanseal
COPY --from=build /src/target/release/spanseal /usr/local/bin/spanseal
USER spanseal
VOLUME /var/lib/spanseal
EXPOSE 4317 4318 4319
ENTRYPOINT ["spanseal"]
CMD ["up", "--data", "/var/lib/spanseal"]
