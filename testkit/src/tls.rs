//! Authorities, certificates, and connections over TLS.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use config::ClientTls;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ClientConnection, StreamOwned};

use crate::folder::Folder;

pub use config::Certificate;

/// An authority, with all that it has signed in a folder of its own.
#[derive(Debug)]
pub struct Authority {
    folder: Folder,
    issuer: Issuer<'static, KeyPair>,
    signed: Cell<usize>,
}

const MADE: &str = "a certificate can be made";

impl Authority {
    /// A new one, which nobody trusts yet.
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect(MADE);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = Folder::new("ca");
        // By its name an authority is found among others.
        let name = folder.path().display().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect(MADE);
        folder.write("ca.pem", &params.self_signed(&key).expect(MADE).pem());
        Self { folder, issuer: Issuer::new(params, key), signed: Cell::new(0) }
    }

    /// The authority's own certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for these names and addresses.
    pub fn certificate(&self, names: &[&str]) -> Certificate {
        self.sign(names, |_| {})
    }

    /// One that has expired.
    pub fn expired(&self, names: &[&str]) -> Certificate {
        self.sign(names, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    /// What a client needs to trust this authority.
    pub fn trust(&self) -> ClientTls {
        ClientTls { ca: Some(self.ca()), certificate: None, server_name: None, verify: true }
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let number = self.signed.replace(self.signed.get() + 1);
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect(MADE);
        params.distinguished_name.push(DnType::CommonName, format!("Test {number}"));
        change(&mut params);
        let key = KeyPair::generate().expect(MADE);
        let certificate = params.signed_by(&key, &self.issuer).expect(MADE);
        Certificate {
            cert: self.folder.write(&format!("{number}.pem"), &certificate.pem()),
            key: self.folder.write(&format!("{number}.key"), &key.serialize_pem()),
        }
    }
}

/// How clients speak TLS; sessions are resumed between those that share it.
#[derive(Clone)]
pub struct Secure(Arc<tls::Client>);

impl Secure {
    /// As Redkeel itself does towards nodes.
    ///
    /// # Panics
    ///
    /// When the files cannot be used.
    #[track_caller]
    pub fn new(settings: &ClientTls) -> Self {
        Self(Arc::new(tls::Client::new(settings).unwrap_or_else(|error| panic!("{error}"))))
    }

    pub(crate) fn connect(
        &self,
        server: &str,
        mut stream: TcpStream,
    ) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = self.0.name(server).map_err(io::Error::other)?;
        let connection = ClientConnection::new(self.0.config(), name);
        let mut connection = connection.map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(connection, stream))
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secure")
    }
}

impl PartialEq for Secure {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Secure {}

impl Hash for Secure {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// How a server of Redis speaks TLS.
#[derive(Clone, Debug)]
pub(crate) struct ServerTls {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: Certificate,
    /// `tls-auth-clients`.
    pub(crate) clients: &'static str,
    /// For the tests' own connections: they are not about this server's certificate.
    pub(crate) secure: Secure,
}

impl ServerTls {
    pub(crate) fn new(
        authority: &Authority,
        certificate: &Certificate,
        clients: &'static str,
    ) -> Self {
        let own = ClientTls {
            certificate: Some(authority.certificate(&["test"])),
            verify: false,
            ..authority.trust()
        };
        Self {
            ca: authority.ca(),
            certificate: certificate.clone(),
            clients,
            secure: Secure::new(&own),
        }
    }

    /// Lines of a configuration file.
    pub(crate) fn lines(&self, port: u16) -> Vec<String> {
        vec![
            "port 0".into(),
            format!("tls-port {port}"),
            format!("tls-cert-file {}", self.certificate.cert.display()),
            format!("tls-key-file {}", self.certificate.key.display()),
            format!("tls-ca-cert-file {}", self.ca.display()),
            format!("tls-auth-clients {}", self.clients),
            "tls-replication yes".into(),
        ]
    }
}
