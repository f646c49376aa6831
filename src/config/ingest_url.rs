//! A server URL as a platform gives it, taken apart without changing a letter. Pure. Error texts quote no more than
//! scheme, host and port: the rest may hold a key, and what stands before an `@` a password.

use super::settings::IngestUrl;
use std::net::Ipv6Addr;

/// The ports that RTMP (Adobe's specification, registered with IANA) and RTMPS (HTTPS's, by custom) have without one.
const RTMP_PORT: u16 = 1935;
const RTMPS_PORT: u16 = 443;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("has white space or a control character inside")]
    WhiteSpace,
    #[error("has no scheme")]
    NoScheme,
    #[error("has the scheme {0:?}, which is not one of rtmp, rtmps")]
    Scheme(String),
    #[error("carries a user or a password")]
    UserInfo,
    #[error("names no host")]
    NoHost,
    #[error("has a host that is no name or address")]
    Host,
    #[error("has the port 0")]
    PortZero,
    #[error("has a port that is no number from 1 to 65535")]
    Port,
    #[error("no application in \"{0}\"")]
    NoApp(String),
}

impl UrlError {
    /// What the operator should write instead.
    pub fn instead(&self) -> String {
        match self {
            UrlError::UserInfo => {
                "take it out of the URL and use the keys user and password".to_owned()
            }
            UrlError::NoApp(server) => {
                format!("write it as the platform gives it, for example {server}/live")
            }
            UrlError::PortZero => "leave the port out or give the platform's".to_owned(),
            _ => "write it as the platform gives it, for example rtmps://host:443/live".to_owned(),
        }
    }
}

impl IngestUrl {
    /// Host and port with the scheme: all of the URL that may be shown.
    pub fn public(&self) -> String {
        let scheme = if self.tls { "rtmps" } else { "rtmp" };
        let (open, close) = if self.host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        format!("{scheme}://{open}{}{close}:{}", self.host, self.port)
    }
}

/// Takes apart `rtmp[s]://host[:port]/app[/more][?query]`. An IPv6 host comes out without its brackets.
pub fn parse(url: &str) -> Result<IngestUrl, UrlError> {
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(UrlError::WhiteSpace);
    }
    let (scheme, rest) = url.split_once("://").ok_or(UrlError::NoScheme)?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "rtmp" => false,
        "rtmps" => true,
        // A scheme is letters and a few signs; anything else in its place may be a secret and isn't repeated.
        other if !other.is_empty() && other.len() <= 12 && other.bytes().all(is_scheme_byte) => {
            return Err(UrlError::Scheme(other.to_owned()));
        }
        _ => return Err(UrlError::NoScheme),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err(UrlError::UserInfo);
    }
    let (host, port) = split_port(authority)?;
    let port = match port {
        None if tls => RTMPS_PORT,
        None => RTMP_PORT,
        Some(digits) => match digits.parse() {
            Ok(0) => return Err(UrlError::PortZero),
            Ok(port) if digits.bytes().all(|b| b.is_ascii_digit()) => port,
            _ => return Err(UrlError::Port),
        },
    };
    let app = path.strip_prefix('/').unwrap_or("").trim_end_matches('/');
    if app.is_empty() || app.starts_with(['?', '#']) {
        return Err(UrlError::NoApp(format!("{scheme}://{authority}")));
    }
    Ok(IngestUrl {
        tls,
        host: host.to_owned(),
        port,
        app: app.to_owned(),
        tc_url: url.trim_end_matches('/').to_owned(),
    })
}

/// A URL that a server names while we talk to `here`: whole, or without the scheme (`//host/app`), or only another application
/// on the same host (`/app`).
pub fn resolve(here: &IngestUrl, reference: &str) -> Result<IngestUrl, UrlError> {
    let scheme = if here.tls { "rtmps:" } else { "rtmp:" };
    if reference.starts_with("//") {
        parse(&format!("{scheme}{reference}"))
    } else if reference.starts_with('/') {
        parse(&format!("{}{reference}", here.public()))
    } else {
        parse(reference)
    }
}

fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

/// Host (checked, brackets off) and port (not checked) of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), UrlError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(UrlError::Host)?;
        let _: Ipv6Addr = host.parse().map_err(|_| UrlError::Host)?;
        let port = match rest {
            "" => None,
            rest => Some(rest.strip_prefix(':').ok_or(UrlError::Host)?),
        };
        return Ok((host, port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if !host.bytes().all(fits) || host.starts_with(['.', '-']) || host.len() > 253 {
        return Err(UrlError::Host);
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(url: &str) -> String {
        parse(url).unwrap_err().to_string()
    }

    #[test]
    fn takes_apart_verbatim() {
        let url = parse("rtmps://b.rtmps.youtube.com:443/live2?backup=1").unwrap();
        assert_eq!(
            url,
            IngestUrl {
                tls: true,
                host: "b.rtmps.youtube.com".into(),
                port: 443,
                app: "live2?backup=1".into(),
                tc_url: "rtmps://b.rtmps.youtube.com:443/live2?backup=1".into(),
            }
        );
        let url = parse("RTMP://Ingest.example.com/live/42-Ab/").unwrap();
        assert_eq!(
            (url.port, url.app.as_str(), url.tls),
            (1935, "live/42-Ab", false)
        );
        assert_eq!(url.tc_url, "RTMP://Ingest.example.com/live/42-Ab");
        let url = parse("rtmps://[2001:db8::1]/live").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("2001:db8::1", 443));
        assert_eq!(url.public(), "rtmps://[2001:db8::1]:443");
    }

    #[test]
    fn a_reference_is_taken_from_where_we_are() {
        let here = parse("rtmps://a.example/live/x").unwrap();
        let resolved = |reference| resolve(&here, reference).map(|url| url.tc_url);
        assert_eq!(resolved("rtmp://b/c"), Ok("rtmp://b/c".into()));
        assert_eq!(resolved("//b:1/c"), Ok("rtmps://b:1/c".into()));
        assert_eq!(resolved("/c"), Ok("rtmps://a.example:443/c".into()));
        assert_eq!(resolved("c"), Err(UrlError::NoScheme));
    }

    #[test]
    fn refuses_with_reasons() {
        assert_eq!(
            text("rtmps://host:443"),
            "no application in \"rtmps://host:443\""
        );
        assert_eq!(text("rtmps://h/"), "no application in \"rtmps://h\"");
        assert_eq!(text("rtmp://h/?x=1"), "no application in \"rtmp://h\"");
        assert_eq!(
            text("https://host/live"),
            "has the scheme \"https\", which is not one of rtmp, rtmps"
        );
        assert_eq!(text("host/live"), "has no scheme");
        assert_eq!(text("rtmp://u:pw@h/live"), "carries a user or a password");
        assert_eq!(text("rtmp://h:0/live"), "has the port 0");
        for port in ["65536", "x", "+80", ""] {
            let url = format!("rtmp://h:{port}/live");
            assert_eq!(text(&url), "has a port that is no number from 1 to 65535");
        }
        assert_eq!(text("rtmp:///live"), "names no host");
        assert_eq!(
            text("rtmp://[::g]/live"),
            "has a host that is no name or address"
        );
        assert_eq!(
            text("rtmp://a b/c"),
            "has white space or a control character inside"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_safe(url: String) {
            let _ = parse(&url);
        }

        #[test]
        fn nothing_is_lost(host in "[a-z][a-z0-9.]{0,20}", port in 1u16.., app in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}") {
            let url = format!("rtmps://{host}:{port}/{app}");
            let parsed = parse(&url).unwrap();
            prop_assert_eq!(&parsed.tc_url, &url);
            prop_assert_eq!(parsed.public() + "/" + &parsed.app, url);
        }
    }
}
