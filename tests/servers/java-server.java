// A server for java.ts to test: HTTP by many threads, with counters in memory and garbage that is collected.
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;

class Server {
  static final ConcurrentHashMap<String, AtomicLong> counts = new ConcurrentHashMap<>();

  public static void main(String[] args) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress(args[1], Integer.parseInt(args[0])), 64);
    server.setExecutor(Executors.newFixedThreadPool(24));
    server.createContext("/", exchange -> {
      String name = exchange.getRequestURI().getQuery();
      List<byte[]> garbage = new ArrayList<>();
      for (int i = 0; i < 64; i++) garbage.add(new byte[8192]);
      long count = counts.computeIfAbsent(name, unused -> new AtomicLong()).incrementAndGet();
      byte[] text = (name + " " + count + "\n").getBytes();
      exchange.sendResponseHeaders(200, text.length + 0L * garbage.size());
      exchange.getResponseBody().write(text);
      exchange.close();
    });
    server.start();
  }
}
