import com.fasterxml.jackson.databind.ObjectMapper;
import io.crossbar.autobahn.wamp.Client;
import io.crossbar.autobahn.wamp.Session;
import io.crossbar.autobahn.wamp.auth.ChallengeResponseAuth;
import io.crossbar.autobahn.wamp.auth.TicketAuth;
import io.crossbar.autobahn.wamp.exceptions.ApplicationError;
import io.crossbar.autobahn.wamp.interfaces.IAuthenticator;
import io.crossbar.autobahn.wamp.transports.NettyWebSocket;
import io.crossbar.autobahn.wamp.types.CallResult;
import io.crossbar.autobahn.wamp.types.PublishOptions;
import io.crossbar.autobahn.wamp.types.Subscription;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** autobahn-java against the sites of the interoperability tests: Interop SITE AUTH_SITE.
 *
 * Each line on stdout is one step: {"round", "step", "value"}; see ../run.py. No step calls a procedure that returns
 * None, because the library can't use a result without arguments.
 */
public class Interop {
    static final int PATIENCE = 10;
    static final ObjectMapper MAPPER = new ObjectMapper();
    static String round;

    static void tell(String step, Object value) throws Exception {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("round", round);
        line.put("step", step);
        line.put("value", value);
        System.out.write((MAPPER.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    static <T> T await(Future<T> future) throws Exception {
        return future.get(PATIENCE, TimeUnit.SECONDS);
    }

    static Object attempt(CompletableFuture<CallResult> call) throws Exception {
        try {
            return await(call).results;
        } catch (ExecutionException raised) {
            if (!(raised.getCause() instanceof ApplicationError)) return raised.toString();
            ApplicationError error = (ApplicationError) raised.getCause();
            return Map.of("uri", error.getMessage(), "args", error.args, "kwargs", error.kwargs);
        } catch (TimeoutException raised) {
            return "no answer came";
        }
    }

    static boolean succeeds(Future<?> future) throws Exception {
        try {
            await(future);
            return true;
        } catch (ExecutionException raised) {
            return false;
        }
    }

    static void talk(String url, String serializer) throws Exception {
        round = serializer;
        Session session = new Session();
        CompletableFuture<Boolean> joined = new CompletableFuture<>();
        CompletableFuture<Boolean> left = new CompletableFuture<>();
        session.addOnJoinListener((it, details) -> joined.complete(true));
        session.addOnLeaveListener((it, details) -> left.complete(true));
        Client client = new Client(new NettyWebSocket(url, List.of("wamp.2." + serializer)));
        client.add(session, "interop");
        client.connect();
        tell("join", await(joined));

        tell("call", attempt(session.call("interop.add", 1, 5)));
        tell("text", attempt(session.call("interop.echo", "Grüße ☃ 𝄞")));
        tell("fail", attempt(session.call("interop.refuse", "because")));
        // In JSON the library has no binary data, so the program writes the text that WAMP says, and reads it.
        boolean text = serializer.equals("json");
        Object binary = text ? "\0AP8B" : new byte[] {0, (byte) 255, 1};
        tell("binary_sent", attempt(session.call("interop.hexadecimal", binary)));
        Object value = attempt(session.call("interop.everything", binary));
        if (value instanceof List && ((List<?>) value).size() == 1) {
            Object item = ((List<?>) value).get(0);
            value = item instanceof byte[] ? HexFormat.of().formatHex((byte[]) item) : item;
        }
        tell("binary", value);

        LinkedBlockingQueue<List<Object>> events = new LinkedBlockingQueue<>();
        Subscription subscription = await(session.subscribe("interop.news.first", events::add));
        tell("subscribe", true);
        tell("welcome", events.poll(PATIENCE, TimeUnit.SECONDS));
        tell("first_call", attempt(session.call("interop.publish", "interop.news.first")));
        tell("first_event", events.poll(PATIENCE, TimeUnit.SECONDS));
        LinkedBlockingQueue<List<Object>> own = new LinkedBlockingQueue<>();
        await(session.subscribe("interop.open.first", own::add));
        tell("publish", succeeds(session.publish("interop.open.first", new PublishOptions(true, false), "own")));
        tell("published", own.poll(PATIENCE, TimeUnit.SECONDS));
        tell("publish_refused", !succeeds(session.publish("interop.news.x", new PublishOptions(true, false), "own")));
        tell("unsubscribe", succeeds(session.unsubscribe(subscription)));
        session.leave();
        tell("leave", await(left));
    }

    static void authenticate(String url, String name, String realm, IAuthenticator authenticator) throws Exception {
        round = name;
        Session session = new Session();
        CompletableFuture<Boolean> joined = new CompletableFuture<>();
        session.addOnJoinListener((it, details) -> joined.complete(true));
        session.addOnLeaveListener((it, details) -> joined.complete(false));
        session.addOnDisconnectListener((it, clean) -> joined.complete(false));
        Client client = new Client(session, url, realm, authenticator);
        client.connect();
        if (!await(joined)) {
            tell("authenticate", "refused");
            return;
        }
        Map<String, Object> named = await(session.call("auth.whoami")).kwresults;
        tell("authenticate", List.of(named.get("authid"), named.get("authrole")));
        session.leave();
    }

    public static void main(String[] urls) throws Exception {
        for (String serializer : List.of("json", "msgpack", "cbor")) talk(urls[0], serializer);
        // It knows neither salted WAMP-CRA nor, without libsodium, cryptosign.
        authenticate(urls[1], "ticket", "ticket", new TicketAuth("joe", "ticket of joe"));
        authenticate(urls[1], "ticket wrong", "ticket", new TicketAuth("joe", "another"));
        authenticate(urls[1], "cra", "cra", new ChallengeResponseAuth("joe", "secret of joe"));
        authenticate(urls[1], "cra wrong", "cra", new ChallengeResponseAuth("joe", "another"));
        System.exit(0);
    }
}
