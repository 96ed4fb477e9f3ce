/** Erlang: a process of its own for each connection, on the schedulers of its machine. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import type { ServerTest } from "./server.ts";

const PROGRAM = `#!/usr/bin/env escript
%%! -noshell
main([Port]) ->
  {ok, Listen} = gen_tcp:listen(list_to_integer(Port), [binary, {packet, line}, {active, true}, {reuseaddr, true}, {ip, {127,0,0,1}}]),
  accept(Listen).

accept(Listen) ->
  {ok, Socket} = gen_tcp:accept(Listen),
  Pid = spawn(fun() -> receive go -> session(Socket, 1) end end),
  gen_tcp:controlling_process(Socket, Pid),
  Pid ! go,
  accept(Listen).

session(Socket, Number) ->
  receive
    {tcp, Socket, Line} ->
      receive after 3 -> ok end,
      gen_tcp:send(Socket, [integer_to_list(Number), " ", Line]),
      session(Socket, Number + 1);
    {tcp_closed, Socket} -> ok
  end.
`;

export const erlang: ServerTest = {
  name: "erlang",
  needs: ["escript"],
  plan(dir, port) {
    writeFileSync(join(dir, "server.escript"), PROGRAM);
    return {
      command: `escript ${dir}/server.escript ${port}`,
      inside: { question: "inside\\n", answer: "%ld inside\\n" },
    };
  },
  async load(port, load) {
    for (let i = 0; i < 10; i++) {
      const connection = await Connection.open(port);
      load.add(`session ${i}`, async (round) => {
        connection.send(`question ${i}\r\n`);
        expect(await connection.line()).toBe(`${round + 1} question ${i}`);
      });
    }
    return async () => {};
  },
};
