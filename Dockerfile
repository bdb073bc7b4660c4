# A static binary in an otherwise empty image: no shell, no package, nothing to update but the binary.
#
#   docker build -t mail_endpoint_exporter .
#   docker run --rm mail_endpoint_exporter probe smtp.example.org
#   docker run -d -p 10125:10125 -v "$PWD/mail.yml:/etc/mail_endpoint_exporter/mail.yml:ro" mail_endpoint_exporter
#
# The process runs as user 65534: the configuration and all files that it names must be readable for it.

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
# The target must be named, or the flag would reach the procedural macros too, which cannot be static.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
    && RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --target "$target" \
    && cp "target/$target/release/mail_endpoint_exporter" /mail_endpoint_exporter

FROM scratch
# The CAs to trust. Without this file the exporter would use Mozilla's as of its build, and say so.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /mail_endpoint_exporter /mail_endpoint_exporter
USER 65534:65534
EXPOSE 10125
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s CMD ["/mail_endpoint_exporter", "healthcheck"]
ENTRYPOINT ["/mail_endpoint_exporter"]
CMD ["serve", "--config.file", "/etc/mail_endpoint_exporter/mail.yml"]
