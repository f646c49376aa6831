//! Addresses of sources in texts: what may be secret in them is left out. Pure.

/// The URL as a text may have it: neither user nor password, nor a query, which may hold a token.
pub fn shown(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else {
        return "its address".into();
    };
    // Both can only fail on URLs that can't have them.
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    parsed.set_query(None);
    parsed.into()
}

/// A text from GStreamer without what may be secret in `url`. Short secrets are looked for as whole words only, or
/// they would take apart the words they happen to be part of.
pub fn redact(url: &str, text: &str) -> String {
    let mut text = text.replace(url, &shown(url));
    let Ok(parsed) = url::Url::parse(url) else {
        return text;
    };
    let secrets = [parsed.password(), Some(parsed.username()), parsed.query()];
    for secret in secrets.into_iter().flatten().filter(|s| !s.is_empty()) {
        let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(secret) {
            let (before, found) = rest.split_at(at);
            let after = &found[secret.len()..];
            let within = is_part(before.chars().next_back()) || is_part(after.chars().next());
            out.push_str(before);
            out.push_str(if within && secret.len() < 4 {
                secret
            } else {
                "••••"
            });
            rest = after;
        }
        out.push_str(rest);
        text = out;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let url = "rtsp://admin:s3cret@cam.local:554/stream?token=abc";
        assert_eq!(shown(url), "rtsp://cam.local:554/stream");
        assert_eq!(shown("rtsp:// not a url"), "its address");
        let text = format!("Could not open {url} (xs3cret, token=abc)");
        assert_eq!(
            redact(url, &text),
            "Could not open rtsp://cam.local:554/stream (x••••, ••••)"
        );
        assert_eq!(
            redact("rtsp://u:pw@cam/", "Could not open cam: u:pw"),
            "Could not open cam: ••••:••••"
        );
    }
}
