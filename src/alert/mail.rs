//! E-mail by SMTP. Shell.

use super::message::Message;
use crate::config::{AlertLevel, Email, MailSecurity};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};
use std::time::Duration;

const TIME_OUT: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub(super) enum MailError {
    #[error("the message can't be made: {0}")]
    Message(String),
    #[error("tls_ca_file {0}")]
    Ca(String),
    /// The server is never quoted with the password: it does not know of it.
    #[error("{0}")]
    Server(String),
}

/// One connection for each message: they are few.
pub(super) async fn send(email: &Email, message: &Message) -> Result<(), MailError> {
    let transport = transport(email).await?;
    let mail = mail(email, message)?;
    let sent = transport.send(mail).await;
    sent.map(drop)
        .map_err(|error| MailError::Server(whole(&error)))
}

/// With its causes: the last of them says what was wrong.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

async fn transport(email: &Email) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&email.host)
        .port(email.port)
        .timeout(Some(TIME_OUT));
    if email.security != MailSecurity::None {
        let mut tls = TlsParameters::builder(email.host.clone());
        if let Some(path) = &email.tls_ca_file {
            let ca = |error: String| MailError::Ca(format!("{}: {error}", path.display()));
            let pem = tokio::fs::read(path)
                .await
                .map_err(|error| ca(error.to_string()))?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| ca(error.to_string()))?;
            tls = tls.add_root_certificate(certificate);
        }
        let tls = tls
            .build()
            .map_err(|error| MailError::Server(whole(&error)))?;
        builder = builder.tls(match email.security {
            MailSecurity::Tls => Tls::Wrapper(tls),
            MailSecurity::StartTls | MailSecurity::None => Tls::Required(tls),
        });
    }
    if let Some(credentials) = &email.credentials {
        let password = credentials.password.expose().to_owned();
        builder = builder.credentials(Credentials::new(credentials.user.clone(), password));
    }
    Ok(builder.build())
}

fn mail(email: &Email, message: &Message) -> Result<Mail, MailError> {
    let bad = |error: &dyn std::fmt::Display| MailError::Message(error.to_string());
    let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|error| bad(&error));
    let word = match message.level {
        AlertLevel::Info => "",
        AlertLevel::Warning => "warning: ",
        AlertLevel::Problem => "PROBLEM: ",
    };
    let mut builder = Mail::builder()
        .from(mailbox(&email.from)?)
        .subject(format!("{word}{}", message.title))
        .message_id(Some(format!("<{}@{}>", message.id, message.host)));
    for to in &email.to {
        builder = builder.to(mailbox(to)?);
    }
    let text = format!(
        "{}\n\n{}\nregia on {}\n",
        message.text, message.at, message.host
    );
    let data = serde_json::to_string_pretty(message).map_err(|error| bad(&error))?;
    let parts = MultiPart::mixed()
        .singlepart(
            SinglePart::builder()
                .header(ContentType::TEXT_PLAIN)
                .body(text),
        )
        .singlepart(
            SinglePart::builder()
                .header(ContentType::parse("application/json").map_err(|error| bad(&error))?)
                .body(data),
        );
    builder.multipart(parts).map_err(|error| bad(&error))
}
