// A server on the TypeScript SDK 2, both eras, with one of everything: typescript_server.mjs PORT|stdio MODULES
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [where, modules] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const load = async name => import(pathToFileURL(require.resolve(name)).href);
const { McpServer, createMcpHandler } = await load('@modelcontextprotocol/server');
const z = await load('zod');

function server() {
  const server = new McpServer({ name: 'peer', version: '1.0.0' });
  const reads = { readOnlyHint: true };
  server.registerTool(
    'now',
    { description: 'What time it is, always.', annotations: reads, outputSchema: z.object({ time: z.string() }) },
    async () => {
      const time = { time: '2026-01-01T00:00:00Z' };
      return { content: [{ type: 'text', text: JSON.stringify(time) }], structuredContent: time };
    }
  );
  server.registerTool(
    'add',
    { description: 'The sum of two numbers.', annotations: reads, inputSchema: z.object({ a: z.number(), b: z.number() }) },
    async ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] })
  );
  server.registerResource('one', 'note://one', { description: 'A note.' }, async uri => ({
    contents: [{ uri: uri.href, text: 'one' }]
  }));
  const says = text => ({ messages: [{ role: 'user', content: { type: 'text', text } }] });
  server.registerPrompt('hello', { description: 'Says hello.' }, async () => says('hello'));
  server.registerPrompt(
    'greet',
    { description: 'Says hello to somebody.', argsSchema: z.object({ name: z.string() }) },
    async ({ name }) => says(`hello ${name}`)
  );
  return server;
}

if (where === 'stdio') {
  const { serveStdio } = await load('@modelcontextprotocol/server/stdio');
  serveStdio(server);
} else {
  const { toNodeHandler, localhostHostValidation, localhostOriginValidation } = await load('@modelcontextprotocol/node');
  const [host, origin] = [localhostHostValidation(), localhostOriginValidation()];
  const handler = toNodeHandler(createMcpHandler(server));
  createServer((request, response) => {
    if (host(request, response) && origin(request, response)) handler(request, response);
  }).listen(Number(where), '127.0.0.1');
}
