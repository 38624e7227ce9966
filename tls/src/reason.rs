//! Why a handshake failed, in the words of an operator.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// Who the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A client of ours.
    Client,
    /// A node or a Sentinel.
    Server,
}

impl Side {
    /// The option that names the authorities by which the peer is judged.
    fn authorities(self) -> &'static str {
        match self {
            Self::Client => "client_ca",
            Self::Server => "ca",
        }
    }
}

const DAY_SECS: u64 = 24 * 60 * 60;

/// Completes "the client …" or "the node …".
pub fn reason(error: &Error, side: Side) -> String {
    match error {
        Error::InvalidCertificate(why) => certificate(why, side),
        Error::NoCertificatesPresented => "shows no certificate".to_owned(),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => "does not speak TLS".to_owned(),
        Error::PeerIncompatible(why) => incompatible(why),
        Error::AlertReceived(alert) => alerted(*alert),
        error => format!("does not complete the TLS handshake: {error}"),
    }
}

fn certificate(why: &CertificateError, side: Side) -> String {
    use CertificateError as Why;
    let option = side.authorities();
    match why {
        Why::Expired => "shows a certificate that has expired".to_owned(),
        Why::ExpiredContext { time, not_after } => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / DAY_SECS;
            format!("shows a certificate that has expired ({days} days ago)")
        }
        Why::NotValidYet => "shows a certificate that is not valid yet".to_owned(),
        Why::NotValidYetContext { time, not_before } => {
            let days = not_before.as_secs().saturating_sub(time.as_secs()) / DAY_SECS;
            format!("shows a certificate that is not valid yet (in {days} days)")
        }
        // The second: another authority of the same name has.
        Why::UnknownIssuer | Why::BadSignature => {
            format!("shows a certificate that no authority of `{option}` has signed")
        }
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            format!(
                "shows a certificate for another name ({why}); `server_name` says which to expect"
            )
        }
        Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => {
            format!("shows a certificate that is not meant for this ({why})")
        }
        why => format!("shows a certificate that cannot be used ({why})"),
    }
}

fn incompatible(why: &PeerIncompatible) -> String {
    use PeerIncompatible as Why;
    match why {
        Why::NoCipherSuitesInCommon => "knows no cipher suite that is allowed".to_owned(),
        Why::NoKxGroupsInCommon | Why::NamedGroupsExtensionRequired => {
            "knows no key exchange that is allowed".to_owned()
        }
        // What TLS 1.2 has and older ones do not.
        Why::SignatureAlgorithmsExtensionRequired
        | Why::Tls12NotOffered
        | Why::Tls12NotOfferedOrEnabled
        | Why::Tls13RequiredForQuic
        | Why::SupportedVersionsExtensionRequired
        | Why::ServerTlsVersionIsDisabledByOurConfig
        | Why::ServerDoesNotSupportTls12Or13 => "speaks neither TLS 1.2 nor 1.3".to_owned(),
        why => format!("speaks another kind of TLS: {why:?}"),
    }
}

fn alerted(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let of_certificate = matches!(
        alert,
        Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRevoked
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied
            | Alert::DecryptError
    );
    match alert {
        Alert::CertificateRequired => "asks for a certificate: set `cert` and `key`".to_owned(),
        alert if of_certificate => format!("refuses our certificate: {alert:?}"),
        Alert::ProtocolVersion => "speaks neither TLS 1.2 nor 1.3".to_owned(),
        Alert::HandshakeFailure => {
            "refuses the handshake: no cipher suite in common, or it asks for a certificate"
                .to_owned()
        }
        alert => format!("refuses the handshake: {alert:?}"),
    }
}
