//! Time zones by the names that calendars use. Shell: the machine's zone data, which its package updates; what comes with the
//! program where there is none.

use jiff::tz::TimeZone;

/// A zone by its name in the IANA's database ("Europe/Rome"), as it is now: an update of the machine's data is seen within minutes.
pub fn find(name: &str) -> Option<TimeZone> {
    // What jiff also takes ("Local", "+02:00") is no venue.
    let plain = name == "UTC" || (name.contains('/') && !name.starts_with(['/', '.', '+', '-']));
    if !plain {
        return None;
    }
    TimeZone::get(name).ok()
}

/// The names that there are, for whoever mistyped one.
pub fn names() -> Vec<String> {
    let all = jiff::tz::db().available();
    all.map(|name| name.to_string()).collect()
}

/// The zone of this machine, by name; UTC where it has none.
pub fn here() -> String {
    let zone = TimeZone::system();
    let name = zone.iana_name().filter(|name| find(name).is_some());
    name.unwrap_or("UTC").to_owned()
}

/// From a name that Windows has for a zone ("W. Europe Standard Time") to the IANA's, by Unicode's table.
pub fn from_windows(name: &str) -> Option<&'static str> {
    localzone::win_zone_to_iana(name, Some("001"))
}

/// Whether a zone is the one that people mean by a kind of time, of several that do the same.
pub fn is_usual(name: &str) -> bool {
    let windows = localzone::iana_to_win_zone(name);
    windows.is_some_and(|(windows, _)| from_windows(windows) == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_zones() {
        assert!(find("Europe/Rome").is_some());
        assert!(find("UTC").is_some());
        for bad in [
            "",
            "Europe/Roma",
            "Local",
            "+02:00",
            "../etc/passwd",
            "/etc/localtime",
            "Mars/Base",
        ] {
            assert!(find(bad).is_none(), "{bad}");
        }
        assert!(names().iter().any(|name| name == "Australia/Lord_Howe"));
        assert_eq!(
            from_windows("W. Europe Standard Time"),
            Some("Europe/Berlin")
        );
        assert_eq!(from_windows("China Standard Time"), Some("Asia/Shanghai"));
        assert_eq!(from_windows("Roma"), None);
    }
}
