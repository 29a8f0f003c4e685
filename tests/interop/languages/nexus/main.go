// nexus' client against the sites of the interoperability tests.    nexus SITE AUTH_SITE
// Each line on stdout is one step: {"round", "step", "value"}; see ../run.py.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"time"

	"github.com/gammazero/nexus/v3/client"
	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gammazero/nexus/v3/wamp/crsign"
)

const patience = 10 * time.Second

var quiet = log.New(io.Discard, "", 0)
var round string

func tell(step string, value any) {
	line, err := json.Marshal(map[string]any{"round": round, "step": step, "value": value})
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(append(line, '\n'))
}

func failure(err error) any {
	var refused client.RPCError
	if errors.As(err, &refused) {
		return map[string]any{"uri": refused.Err.Error, "args": refused.Err.Arguments, "kwargs": refused.Err.ArgumentsKw}
	}
	return err.Error()
}

func talk(url string, serializer serialize.Serialization) {
	session, err := client.ConnectNet(context.Background(), url, client.Config{
		Realm: "interop", Serialization: serializer, ResponseTimeout: patience, Logger: quiet})
	if err != nil {
		tell("join", err.Error())
		return
	}
	tell("join", true)
	call := func(uri string, args wamp.List, kwargs wamp.Dict) (wamp.List, any) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		result, err := session.Call(ctx, uri, nil, args, kwargs, nil)
		if err != nil {
			return nil, failure(err)
		}
		return result.Arguments, result.Arguments
	}
	show := func(step, uri string, args wamp.List, kwargs wamp.Dict) {
		_, value := call(uri, args, kwargs)
		tell(step, value)
	}
	show("call", "interop.add", wamp.List{1}, wamp.Dict{"b": 5})
	show("text", "interop.echo", wamp.List{"Grüße ☃ 𝄞"}, nil)
	show("fail", "interop.refuse", wamp.List{"because"}, nil)

	// nexus writes plain []byte in JSON as base64 without the U+0000 that WAMP has; BinaryData has it. What it reads
	// there it leaves as text.
	var binary any = []byte{0, 255, 1}
	if serializer == client.JSON {
		binary = serialize.BinaryData([]byte{0, 255, 1})
	}
	show("binary_sent", "interop.hexadecimal", wamp.List{binary}, nil)
	args, value := call("interop.everything", wamp.List{binary}, nil)
	if len(args) == 1 {
		switch item := args[0].(type) {
		case []byte:
			value = hex.EncodeToString(item)
		case string:
			value = item
		}
	}
	tell("binary", value)

	events := make(chan *wamp.Event, 10)
	next := func() any {
		select {
		case event := <-events:
			return event.Arguments
		case <-time.After(patience):
			return "no event came"
		}
	}
	// An event that comes right behind SUBSCRIBED can be lost, because the library installs the handler in another
	// goroutine than the one that reads. A call for the first value, made once the topic is subscribed to, works
	// always.
	tell("subscribe", session.SubscribeChan("interop.open.first", events, nil) == nil)
	show("first_call", "interop.publish", wamp.List{"interop.open.first"}, nil)
	tell("first_event", next())
	tell("publish", session.Publish("interop.open.first", wamp.Dict{"acknowledge": true, "exclude_me": false}, wamp.List{"own"}, nil) == nil)
	tell("published", next())
	tell("publish_refused", session.Publish("interop.news.x", wamp.Dict{"acknowledge": true}, nil, nil) != nil)
	tell("unsubscribe", session.Unsubscribe("interop.open.first") == nil)
	tell("leave", session.Close() == nil)
}

func authenticate(url, name, realm, method string, answer func(*wamp.Challenge) string) {
	round = name
	handler := func(challenge *wamp.Challenge) (string, wamp.Dict) { return answer(challenge), wamp.Dict{} }
	session, err := client.ConnectNet(context.Background(), url, client.Config{
		Realm: realm, HelloDetails: wamp.Dict{"authid": "joe"}, ResponseTimeout: patience, Logger: quiet,
		AuthHandlers: map[string]client.AuthFunc{method: handler}})
	if err != nil {
		tell("authenticate", "refused")
		return
	}
	result, err := session.Call(context.Background(), "auth.whoami", nil, nil, nil, nil)
	if err != nil {
		tell("authenticate", err.Error())
		return
	}
	tell("authenticate", []any{result.ArgumentsKw["authid"], result.ArgumentsKw["authrole"]})
	session.Close()
}

func main() {
	site, authSite := os.Args[1], os.Args[2]
	for name, serializer := range map[string]serialize.Serialization{
		"json": client.JSON, "msgpack": client.MSGPACK, "cbor": client.CBOR} {
		round = name
		talk(site, serializer)
	}
	ticket := func(text string) func(*wamp.Challenge) string {
		return func(*wamp.Challenge) string { return text }
	}
	sign := func(secret string) func(*wamp.Challenge) string {
		return func(challenge *wamp.Challenge) string { return crsign.RespondChallenge(secret, challenge, nil) }
	}
	authenticate(authSite, "ticket", "ticket", "ticket", ticket("ticket of joe"))
	authenticate(authSite, "ticket wrong", "ticket", "ticket", ticket("another"))
	authenticate(authSite, "cra", "cra", "wampcra", sign("secret of joe"))
	authenticate(authSite, "cra wrong", "cra", "wampcra", sign("another"))
	authenticate(authSite, "cra-salted", "cra-salted", "wampcra", sign("password of joe"))
}
