// xconn-go against the sites of the interoperability tests.    xconn SITE AUTH_SITE
// Each line on stdout is one step: {"round", "step", "value"}; see ../run.py.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log"
	"os"
	"strings"
	"time"

	"github.com/xconnio/wampproto-go/auth"
	"github.com/xconnio/xconn-go"
)

const patience = 10 * time.Second

var round string

func tell(step string, value any) {
	line, err := json.Marshal(map[string]any{"round": round, "step": step, "value": value})
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(append(line, '\n'))
}

func failure(err error) any {
	var refused *xconn.Error
	if errors.As(err, &refused) {
		return map[string]any{"uri": refused.URI, "args": refused.Args, "kwargs": refused.Kwargs}
	}
	return err.Error()
}

func talk(url string, serializer xconn.SerializerSpec) {
	client := xconn.Client{SerializerSpec: serializer}
	session, err := client.Connect(context.Background(), url, "interop")
	if err != nil {
		tell("join", err.Error())
		return
	}
	tell("join", true)
	call := func(request *xconn.CallRequest) ([]any, any) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		result := request.DoContext(ctx)
		if result.Err != nil {
			return nil, failure(result.Err)
		}
		return result.Args(), result.Args()
	}
	show := func(step string, request *xconn.CallRequest) {
		_, value := call(request)
		tell(step, value)
	}
	show("call", session.Call("interop.add").Arg(1).Kwarg("b", 5))
	show("text", session.Call("interop.echo").Arg("Grüße ☃ 𝄞"))
	show("fail", session.Call("interop.refuse").Arg("because"))

	// In JSON this library leaves binary data to encoding/json, which writes base64 without the U+0000 that WAMP has;
	// so the program writes what WAMP says.
	var binary any = []byte{0, 255, 1}
	if round == "json" {
		binary = "\x00AP8B"
	}
	show("binary_sent", session.Call("interop.hexadecimal").Arg(binary))
	args, value := call(session.Call("interop.everything").Arg(binary))
	if len(args) == 1 {
		switch item := args[0].(type) {
		case []byte:
			value = hex.EncodeToString(item)
		case string:
			value = item
		}
	}
	tell("binary", value)

	events := make(chan *xconn.Event, 10)
	next := func() any {
		select {
		case event := <-events:
			return event.Args()
		case <-time.After(patience):
			return "no event came"
		}
	}
	// An event that comes right behind SUBSCRIBED reaches the library before it knows the subscription, and after that
	// the session can't be used. A call for the first value, made once the topic is subscribed to, works always.
	subscription := session.Subscribe("interop.open.first", func(event *xconn.Event) { events <- event }).Do()
	tell("subscribe", subscription.Err == nil)
	show("first_call", session.Call("interop.publish").Arg("interop.open.first"))
	tell("first_event", next())
	published := session.Publish("interop.open.first").Arg("own").Acknowledge(true).ExcludeMe(false).Do()
	tell("publish", published.Err == nil)
	tell("published", next())
	tell("publish_refused", session.Publish("interop.news.x").Acknowledge(true).Do().Err != nil)
	tell("unsubscribe", subscription.Unsubscribe() == nil)
	tell("leave", session.Leave() == nil)
}

func authenticate(url, name, realm string, authenticator auth.ClientAuthenticator) {
	round = name
	client := xconn.Client{Authenticator: authenticator}
	session, err := client.Connect(context.Background(), url, realm)
	if err != nil {
		tell("authenticate", "refused")
		return
	}
	result := session.Call("auth.whoami").Do()
	if result.Err != nil {
		tell("authenticate", failure(result.Err))
		return
	}
	tell("authenticate", []any{result.Kwargs()["authid"], result.Kwargs()["authrole"]})
	session.Leave()
}

func main() {
	site, authSite := os.Args[1], os.Args[2]
	for name, serializer := range map[string]xconn.SerializerSpec{
		"json": xconn.JSONSerializerSpec, "msgpack": xconn.MsgPackSerializerSpec, "cbor": xconn.CBORSerializerSpec} {
		round = name
		talk(site, serializer)
	}
	authenticate(authSite, "ticket", "ticket", auth.NewTicketAuthenticator("joe", "ticket of joe", nil))
	authenticate(authSite, "ticket wrong", "ticket", auth.NewTicketAuthenticator("joe", "another", nil))
	authenticate(authSite, "cra", "cra", auth.NewWAMPCRAAuthenticator("joe", "secret of joe", nil))
	authenticate(authSite, "cra wrong", "cra", auth.NewWAMPCRAAuthenticator("joe", "another", nil))
	authenticate(authSite, "cra-salted", "cra-salted", auth.NewWAMPCRAAuthenticator("joe", "password of joe", nil))
	cryptosign, err := auth.NewCryptoSignAuthenticator("joe", strings.Repeat("0a", 32), nil)
	if err != nil {
		log.Fatal(err)
	}
	authenticate(authSite, "cryptosign", "cryptosign", cryptosign)
}
