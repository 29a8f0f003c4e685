// wamp_async against the sites of the interoperability tests.    interop SITE AUTH_SITE
// Each line on stdout is one step: {"round", "step", "value"}; see ../../run.py.
use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use tokio::time::timeout;
// Values are made by the library's helpers, because payloads are values of its own version of serde_json.
use wamp_async::{
    try_into_any_value as value, try_into_kwargs, AuthenticationChallengeResponse, AuthenticationMethod, Client,
    ClientConfig, SerializerType, WampArgs, WampDict, WampError, WampKwArgs, WampPayloadValue,
};

const PATIENCE: Duration = Duration::from_secs(10);

fn tell(round: &str, step: &str, shown: impl Display) {
    println!("{{\"round\": \"{round}\", \"step\": \"{step}\", \"value\": {shown}}}");
}

fn text(words: impl ToString) -> WampPayloadValue {
    value(words.to_string()).unwrap()
}

fn failure(error: WampError) -> WampPayloadValue {
    match error {
        // The library keeps neither the arguments nor the keywords of an ERROR.
        WampError::ServerError(uri, _) => value(HashMap::from([("uri", uri)])).unwrap(),
        other => text(other),
    }
}

async fn call(client: &Client<'_>, uri: &str, args: WampArgs, kwargs: WampKwArgs) -> WampPayloadValue {
    match timeout(PATIENCE, client.call(uri, Some(args), Some(kwargs))).await {
        Ok(Ok((args, _))) => value(args).unwrap(),
        Ok(Err(error)) => failure(error),
        Err(_) => text("no answer came"),
    }
}

async fn talk(url: &str, round: &str, serializer: SerializerType, binary: bool) {
    let config = ClientConfig::default().set_serializers(vec![serializer]);
    let (mut client, (events, _)) = Client::connect(url, Some(config)).await.unwrap();
    tokio::spawn(events);
    tell(round, "join", client.join_realm("interop").await.is_ok());

    let five = try_into_kwargs(HashMap::from([("b", 5)])).unwrap();
    tell(round, "call", call(&client, "interop.add", vec![value(1).unwrap()], five).await);
    tell(round, "text", call(&client, "interop.echo", vec![text("Grüße ☃ 𝄞")], WampKwArgs::new()).await);
    tell(round, "fail", call(&client, "interop.refuse", vec![text("because")], WampKwArgs::new()).await);
    // With MessagePack, binary data of a result has no value in this library, and the connection is lost. With JSON it
    // is text, written as WAMP says.
    if binary {
        let sent = vec![text("\0AP8B")];
        tell(round, "binary_sent", call(&client, "interop.hexadecimal", sent.clone(), WampKwArgs::new()).await);
        let received = call(&client, "interop.everything", sent, WampKwArgs::new()).await;
        tell(round, "binary", received.get(0).unwrap_or(&received));
    }

    let (subscription, mut queue) = client.subscribe("interop.news.first").await.unwrap();
    tell(round, "subscribe", true);
    macro_rules! next {
        () => {
            match timeout(PATIENCE, queue.recv()).await {
                Ok(Some((_, args, _))) => value(args).unwrap(),
                _ => text("no event came"),
            }
        };
    }
    tell(round, "welcome", next!());
    tell(round, "first_call", call(&client, "interop.publish", vec![text("interop.news.first")], WampKwArgs::new()).await);
    tell(round, "first_event", next!());
    // The library has no options for publishing, so that what it publishes doesn't come back.
    let own = Some(vec![text("own")]);
    tell(round, "publish", matches!(client.publish("interop.open.first", own, None, true).await, Ok(Some(_))));
    tell(round, "publish_refused", client.publish("interop.news.x", None, None, true).await.is_err());
    tell(round, "unsubscribe", client.unsubscribe(subscription).await.is_ok());
    tell(round, "leave", timeout(PATIENCE, client.leave_realm()).await.is_ok_and(|left| left.is_ok()));
    client.disconnect().await;
}

async fn authenticate(url: &str, round: &str, ticket: &'static str) {
    let (mut client, (events, _)) = Client::connect(url, None).await.unwrap();
    tokio::spawn(events);
    let joined = client
        .join_realm_with_authentication(
            "ticket",
            vec![AuthenticationMethod::Ticket],
            "joe",
            Box::new(move |_, _: WampDict| {
                Box::pin(async move { Ok(AuthenticationChallengeResponse::with_signature(ticket.to_owned())) })
            }),
        )
        .await;
    if joined.is_err() {
        tell(round, "authenticate", text("refused"));
        return;
    }
    match timeout(PATIENCE, client.call("auth.whoami", None, None)).await {
        Ok(Ok((_, Some(named)))) => {
            let identity = vec![named["authid"].clone(), named["authrole"].clone()];
            tell(round, "authenticate", value(identity).unwrap());
        }
        other => tell(round, "authenticate", text(format!("{other:?}"))),
    }
    let _ = client.leave_realm().await;
    client.disconnect().await;
}

#[tokio::main]
async fn main() {
    let urls: Vec<String> = std::env::args().skip(1).collect();
    talk(&urls[0], "json", SerializerType::Json, true).await;
    talk(&urls[0], "msgpack", SerializerType::MsgPack, false).await;
    authenticate(&urls[1], "ticket", "ticket of joe").await;
    authenticate(&urls[1], "ticket wrong", "another").await;
}
