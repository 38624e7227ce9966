//! TLS on both sides of a pool.

use std::path::PathBuf;

use crate::diagnostics::Report;
use crate::kinds::{Flag, Placed};
use crate::load::Context;
use crate::model::{Certificate, ClientTls, Endpoint, Listener, ServerName, ServerTls};
use crate::options::{OptionTable, Setting, tls};
use crate::section::Section;
use crate::tree::Span;

/// Which of the two files of a certificate something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFile {
    /// The certificate.
    Cert,
    /// Its private key.
    Key,
}

/// TLS towards clients; `None`: there is none, or it was wrong and reported.
pub(crate) fn towards_clients(
    pool: &mut Section<'_>,
    path: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> Option<ServerTls> {
    pool.field(tls::KEY)?;
    let path = format!("{path}.{}", tls::KEY);
    let mut section = pool.table(tls::KEY, &path, &tls::CLIENTS, report);
    if pool.is_broken_at(tls::KEY) {
        return None;
    }
    section.require(tls::CERTS.key, tls::CERTS.example, report);
    section.require(tls::KEYS.key, tls::KEYS.example, report);
    let certs = section.placed(&tls::CERTS, report);
    let keys = section.placed(&tls::KEYS, report);
    let client_ca = section.placed(&tls::CLIENT_CA, report);
    check_authorities(client_ca.as_ref(), context, report);
    let (certs, keys) = (certs?, keys?);
    if certs.value.len() != keys.value.len() {
        report
            .error(
                keys.span,
                format!("{} keys for {} certificates", keys.value.len(), certs.value.len()),
            )
            .with_related(certs.span, "these are the certificates")
            .with_help("name one key for each certificate, in the same order");
        return None;
    }
    let mut certificates = Vec::new();
    for (cert, key) in certs.value.into_iter().zip(keys.value) {
        let certificate = Certificate { cert, key };
        check_certificate(&certificate, &certs.span, &keys.span, context, report);
        certificates.push(certificate);
    }
    Some(ServerTls { certificates, client_ca: client_ca.map(|ca| ca.value) })
}

/// TLS towards nodes or Sentinels, where `outer` has a table for it.
pub(crate) fn towards_servers(
    outer: &mut Section<'_>,
    path: &str,
    options: &'static OptionTable,
    context: &Context<'_>,
    report: &mut Report,
) -> Option<ClientTls> {
    outer.field(tls::KEY)?;
    let path = format!("{path}.{}", tls::KEY);
    let mut section = outer.table(tls::KEY, &path, options, report);
    if outer.is_broken_at(tls::KEY) {
        return None;
    }
    let ca = section.placed(&tls::CA, report);
    check_authorities(ca.as_ref(), context, report);
    let certificate = certificate(&mut section, context, report);
    let verify = section.setting(&tls::VERIFY, report);
    if !verify {
        warn_of_trust(&section, &tls::VERIFY, report);
    }
    Some(ClientTls {
        ca: ca.map(|ca| ca.value),
        certificate,
        server_name: section.optional(&tls::SERVER_NAME, report),
        verify,
    })
}

fn certificate(
    section: &mut Section<'_>,
    context: &Context<'_>,
    report: &mut Report,
) -> Option<Certificate> {
    let cert = section.placed(&tls::CERT, report);
    let key = section.placed(&tls::CERT_KEY, report);
    for (one, other, missing) in
        [(&cert, tls::CERT.key, &tls::CERT_KEY), (&key, tls::CERT_KEY.key, &tls::CERT)]
    {
        if let Some(one) = one
            && section.field(missing.key).is_none()
        {
            report
                .error(one.span.clone(), format!("`{other}` without `{}`", missing.key))
                .with_help(format!("for example `{} = {}`", missing.key, missing.example));
        }
    }
    let (cert, key) = (cert?, key?);
    let certificate = Certificate { cert: cert.value, key: key.value };
    check_certificate(&certificate, &cert.span, &key.span, context, report);
    Some(certificate)
}

fn check_certificate(
    certificate: &Certificate,
    cert: &Span,
    key: &Span,
    context: &Context<'_>,
    report: &mut Report,
) {
    let Err((file, why)) = context.secrets.certificate(certificate) else { return };
    let (span, help) = match file {
        CertificateFile::Cert => (cert, "certificates in PEM: the own one first"),
        CertificateFile::Key => (key, "the private key of that certificate, in PEM"),
    };
    report.error(span.clone(), why).with_help(help);
}

fn check_authorities(file: Option<&Placed<PathBuf>>, context: &Context<'_>, report: &mut Report) {
    let Some(file) = file else { return };
    if let Err(why) = context.secrets.authorities(&file.value) {
        report.error(file.span.clone(), why).with_help("the authorities' certificates in PEM");
    }
}

fn warn_of_trust(section: &Section<'_>, option: &Setting<Flag>, report: &mut Report) {
    let span = section.span_of(option.key).unwrap_or_else(|| section.span());
    report
        .warning(
            span,
            "certificates are not verified: whoever answers in a server's place is believed",
        )
        .with_help(
            "name the authorities with `ca`, and leave `verify` out; use this for tests only",
        );
}

/// Who is reached over TLS has a name, or an address, to check.
pub(crate) fn check_names(tls: &ClientTls, servers: &[Placed<ServerName>], report: &mut Report) {
    for server in servers {
        match &server.value {
            ServerName::At(Endpoint::Unix(_)) => {
                report
                    .error(server.span.clone(), "a unix socket is not reached over TLS")
                    .with_help("leave `tls` of `upstream` out, or give this node its own pool");
            }
            ServerName::Service(_) if tls.verify && tls.server_name.is_none() => {
                report
                    .error(server.span.clone(), "`srv:` over TLS needs a `server_name`")
                    .with_help(
                        "hosts that a SRV record names are not proof of anything: write the name that the nodes' \
                         certificates have as `server_name` in `[pool.NAME.upstream.tls]`",
                    );
            }
            ServerName::Service(_) | ServerName::At(_) => {}
        }
    }
}

/// A certificate that nobody is shown is hardly meant.
pub(crate) fn check_use(section: &Section<'_>, listeners: &[Listener], report: &mut Report) {
    let Some(field) = section.field(tls::KEY) else { return };
    if !listeners.is_empty() && !listeners.iter().any(|listener| listener.tls) {
        report
            .warning(field.key_span.clone(), "no listener of this pool speaks TLS")
            .with_help("unix sockets do only with `{ address = \"…\", tls = true }`");
    }
}
