//! Why a request or a response did not come about.
//!
//! One row per case of the interface's `error-code`
//! ([spec](https://github.com/WebAssembly/wasi-http/blob/v0.2.12/wit/types.wit)), which are those of
//! [RFC 9209](https://www.rfc-editor.org/rfc/rfc9209#name-proxy-error-types).
//!
//! Invariant: cases keep the interface's order, since guests compare them by number.
//!
//! Does not know: which library found the error.

use wattest::component::{ComponentType, Lift, Lower};

/// `DNS-error-payload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct DnsError {
    /// The response code's name.
    pub rcode: Option<String>,
    /// The extended error.
    pub info_code: Option<u16>,
}

/// `TLS-alert-received-payload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct TlsAlert {
    /// The alert's number.
    pub alert_id: Option<u8>,
    /// What it means.
    pub alert_message: Option<String>,
}

/// `field-size-payload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct FieldSize {
    /// Which field.
    pub field_name: Option<String>,
    /// Its bytes.
    pub field_size: Option<u32>,
}

macro_rules! codes {
    ($($code:ident $(($payload:ty))? = $name:literal, $status:literal, $text:literal;)*) => {
        /// `error-code`.
        #[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
        #[component(variant)]
        pub enum ErrorCode {
            $(#[doc = $text] #[component(name = $name)] $code $(($payload))?,)*
        }

        impl ErrorCode {
            /// The status that RFC 9209 recommends for telling a client.
            pub fn status(&self) -> u16 {
                match self {
                    $(codes!(@pattern $code _ $(($payload))?) => $status,)*
                }
            }
        }

        impl std::fmt::Display for ErrorCode {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let (text, shown) = match self {
                    $(codes!(@pattern $code shown $(($payload))?) => ($text, codes!(@shown shown $(($payload))?)),)*
                };
                f.write_str(text)?;
                if shown.is_empty() { Ok(()) } else { write!(f, " ({shown})") }
            }
        }
    };
    (@pattern $code:ident $shown:tt ($payload:ty)) => { ErrorCode::$code($shown) };
    (@pattern $code:ident $shown:tt) => { ErrorCode::$code };
    (@shown $shown:ident ($payload:ty)) => { format!("{:?}", $shown) };
    (@shown $shown:ident) => { String::new() };
}

codes! {
    DnsTimeout = "DNS-timeout", 504, "the name was not resolved in time";
    DnsError(DnsError) = "DNS-error", 502, "the name was not resolved";
    DestinationNotFound = "destination-not-found", 500, "there is no such destination";
    DestinationUnavailable = "destination-unavailable", 503, "the destination is not available";
    DestinationIpProhibited = "destination-IP-prohibited", 502, "the destination's address is not allowed";
    DestinationIpUnroutable = "destination-IP-unroutable", 502, "there is no route to the destination";
    ConnectionRefused = "connection-refused", 502, "the connection was refused";
    ConnectionTerminated = "connection-terminated", 502, "the connection ended early";
    ConnectionTimeout = "connection-timeout", 504, "there was no connection in time";
    ConnectionReadTimeout = "connection-read-timeout", 504, "nothing was received in time";
    ConnectionWriteTimeout = "connection-write-timeout", 504, "nothing could be sent in time";
    ConnectionLimitReached = "connection-limit-reached", 503, "there are too many connections";
    TlsProtocolError = "TLS-protocol-error", 502, "TLS failed";
    TlsCertificateError = "TLS-certificate-error", 502, "the certificate is not trusted";
    TlsAlertReceived(TlsAlert) = "TLS-alert-received", 502, "the other side ended TLS with an alert";
    HttpRequestDenied = "HTTP-request-denied", 403, "the request is not allowed";
    HttpRequestLengthRequired = "HTTP-request-length-required", 411, "the request needs a length";
    HttpRequestBodySize(Option<u64>) = "HTTP-request-body-size", 413, "the request's body has the wrong size";
    HttpRequestMethodInvalid = "HTTP-request-method-invalid", 400, "the request's method is invalid";
    HttpRequestUriInvalid = "HTTP-request-URI-invalid", 400, "the request's URI is invalid";
    HttpRequestUriTooLong = "HTTP-request-URI-too-long", 414, "the request's URI is too long";
    HttpRequestHeaderSectionSize(Option<u32>) = "HTTP-request-header-section-size", 431, "the request's headers are too large";
    HttpRequestHeaderSize(Option<FieldSize>) = "HTTP-request-header-size", 431, "a header of the request is too large";
    HttpRequestTrailerSectionSize(Option<u32>) = "HTTP-request-trailer-section-size", 431, "the request's trailers are too large";
    HttpRequestTrailerSize(FieldSize) = "HTTP-request-trailer-size", 431, "a trailer of the request is too large";
    HttpResponseIncomplete = "HTTP-response-incomplete", 502, "the response is not complete";
    HttpResponseHeaderSectionSize(Option<u32>) = "HTTP-response-header-section-size", 502, "the response's headers are too large";
    HttpResponseHeaderSize(FieldSize) = "HTTP-response-header-size", 502, "a header of the response is too large";
    HttpResponseBodySize(Option<u64>) = "HTTP-response-body-size", 502, "the response's body has the wrong size";
    HttpResponseTrailerSectionSize(Option<u32>) = "HTTP-response-trailer-section-size", 502, "the response's trailers are too large";
    HttpResponseTrailerSize(FieldSize) = "HTTP-response-trailer-size", 502, "a trailer of the response is too large";
    HttpResponseTransferCoding(Option<String>) = "HTTP-response-transfer-coding", 502, "the response's transfer coding is unknown";
    HttpResponseContentCoding(Option<String>) = "HTTP-response-content-coding", 502, "the response's content coding is unknown";
    HttpResponseTimeout = "HTTP-response-timeout", 504, "the response did not come in time";
    HttpUpgradeFailed = "HTTP-upgrade-failed", 502, "the protocol was not upgraded";
    HttpProtocolError = "HTTP-protocol-error", 502, "the protocol was broken";
    LoopDetected = "loop-detected", 502, "the request goes round in circles";
    ConfigurationError = "configuration-error", 500, "the host is not set up for this";
    InternalError(Option<String>) = "internal-error", 500, "something else went wrong";
}

impl ErrorCode {
    /// The case for everything else.
    pub fn internal(text: impl std::fmt::Display) -> ErrorCode {
        ErrorCode::InternalError(Some(text.to_string()))
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_statuses_say_what_is_known() {
        fn check(code: ErrorCode, expected: (&str, u16)) {
            assert_eq!((code.to_string().as_str(), code.status()), expected);
        }
        check(ErrorCode::ConnectionRefused, ("the connection was refused", 502));
        check(ErrorCode::HttpRequestBodySize(Some(7)), ("the request's body has the wrong size (Some(7))", 413));
        check(ErrorCode::internal("why"), ("something else went wrong (Some(\"why\"))", 500));
    }
}
