//! Where the collector is.

use hyper::Uri;

use crate::http::at;

/// The collector's address is none.
#[derive(Debug, thiserror::Error)]
#[error("{setting} is {value:?}, which is no address; write for example \"http://127.0.0.1:4317\"")]
pub(crate) struct EndpointError {
    setting: &'static str,
    value: String,
}

/// Returns the collector's address without a path, for what is asked besides OTLP: as given, else by the variables that
/// the exporter reads, else its default.
pub(crate) fn base(given: Option<&str>) -> Result<Uri, EndpointError> {
    let variable =
        |setting| std::env::var(setting).ok().filter(|value| !value.is_empty()).map(|value| (setting, value));
    let (setting, value) = given
        .map(|value| (".endpoint(...)", value.to_owned()))
        .or_else(|| variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"))
        .unwrap_or((".endpoint(...)", "http://localhost:4317".to_owned()));
    let uri: Option<Uri> = value.parse().ok();
    let uri = uri.filter(|uri| uri.scheme().is_some() && uri.authority().is_some());
    uri.and_then(|uri| at(&uri, "/").ok()).ok_or(EndpointError { setting, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_scheme_and_authority_alone() {
        assert_eq!(base(Some("https://collector:4318/v1/traces")).unwrap(), "https://collector:4318/");
        for wrong in ["collector:4317", "", "http://"] {
            let error = base(Some(wrong)).unwrap_err().to_string();
            assert!(error.starts_with(&format!(".endpoint(...) is {wrong:?}")), "{error}");
        }
    }
}
