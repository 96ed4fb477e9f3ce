// A server for bun.ts to test: Bun.serve with state in memory, WebSockets, and a worker of its own.
const counts = new Map<string, number>();
const sockets = new WeakMap<object, number>();

Bun.serve({
  port: Number(process.argv[2]),
  hostname: "127.0.0.1",
  idleTimeout: 0,
  fetch(request, server) {
    const url = new URL(request.url);
    if (url.pathname === "/socket" && server.upgrade(request)) return undefined;
    const name = url.searchParams.get("name") ?? "";
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return new Response(`${name} ${count}\n`);
  },
  websocket: {
    message(socket, message) {
      const received = (sockets.get(socket) ?? 0) + 1;
      sockets.set(socket, received);
      socket.send(`${received} ${message}`);
    },
  },
});
