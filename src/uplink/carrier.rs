//! Tells when an interface loses or regains its carrier, as the kernel says it (rtnetlink). Shell.

use futures_util::StreamExt;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::watch;

/// Whether each watched interface can carry packets; one that doesn't exist can't.
pub type Carriers = BTreeMap<String, bool>;

/// Watches `interfaces` until every receiver is dropped. The first value is the state at the call.
pub async fn watch_carriers(
    interfaces: BTreeSet<String>,
) -> std::io::Result<watch::Receiver<Carriers>> {
    let (connection, handle, mut messages) = new_multicast_connection(&[MulticastGroup::Link])?;
    tokio::spawn(connection);
    let mut carriers: Carriers = interfaces.into_iter().map(|name| (name, false)).collect();
    let mut links = handle.link().get().execute();
    while let Some(Ok(link)) = links.next().await {
        note(&mut carriers, &link, true);
    }
    let (sender, receiver) = watch::channel(carriers);
    tokio::spawn(async move {
        // The handle keeps the connection's request side open for as long as we listen.
        let _handle = handle;
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = sender.closed() => return,
            };
            let Some((message, _)) = message else { return };
            sender.send_if_modified(|carriers| match &message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                    note(carriers, link, true)
                }
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => {
                    note(carriers, link, false)
                }
                _ => false,
            });
        }
    });
    Ok(receiver)
}

/// Takes one link's state over; true when that changed something that is watched.
fn note(carriers: &mut Carriers, link: &LinkMessage, exists: bool) -> bool {
    let name = link
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.as_str()),
            _ => None,
        });
    let up = exists
        && link
            .header
            .flags
            .contains(LinkFlags::Up | LinkFlags::LowerUp);
    match name.and_then(|name| carriers.get_mut(name)) {
        Some(known) if *known != up => {
            *known = up;
            true
        }
        _ => false,
    }
}
