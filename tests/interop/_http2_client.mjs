// Node's HTTP/2 client against the server: node _http2_client.mjs URL CAFILE; prints one line of JSON, or fails.

import assert from "node:assert";
import crypto from "node:crypto";
import fs from "node:fs";
import http2 from "node:http2";

const [url, cafile] = process.argv.slice(2);
const session = http2.connect(url, { ca: fs.readFileSync(cafile) });

function exchange(headers, body, { length } = {}) {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    const result = { informational: [], trailers: null, octets: 0, sha: crypto.createHash("sha256"), text: "" };
    stream.on("headers", (section) => result.informational.push(section));
    stream.on("response", (section) => (result.headers = section));
    stream.on("trailers", (section) => (result.trailers = section));
    stream.on("data", (chunk) => {
      result.octets += chunk.length;
      result.sha.update(chunk);
      if (result.octets < 10000) result.text += chunk.toString();
    });
    stream.on("error", reject);
    stream.on("end", () => resolve(result));
    if (body !== undefined) body(stream);
  });
}

async function upload(stream, octets) {
  const chunk = Buffer.alloc(65536, "x");
  for (let sent = 0; sent < octets; sent += chunk.length) {
    if (!stream.write(chunk)) await new Promise((resolve) => stream.once("drain", resolve));
  }
  stream.end();
}

const hello = await exchange({ ":path": "/hello" });
assert.equal(hello.headers[":status"], 200);
assert.equal(hello.text, "hello\n");

const hints = await exchange({ ":path": "/hints" });
assert.equal(hints.informational[0][":status"], 103);
assert.equal(hints.headers[":status"], 200);

const trailers = await exchange({ ":path": "/trailers" });
assert.equal(trailers.trailers["x-sha256"], crypto.createHash("sha256").update("with trailers\n").digest("hex"));

const size = 128 * 1024 * 1024;
const uploaded = JSON.parse(
  (await exchange({ ":path": "/digest", ":method": "POST" }, (stream) => upload(stream, size))).text,
);
const expected = crypto.createHash("sha256");
for (let i = 0; i < size / 65536; i++) expected.update(Buffer.alloc(65536, "x"));
assert.equal(uploaded.octets, size);
assert.equal(uploaded.sha256, expected.digest("hex"));

const downloaded = await exchange({ ":path": `/bytes?n=${size}` });
assert.equal(downloaded.octets, size);

// a thousand streams, a hundred at once
let next = 0;
async function worker() {
  while (next < 1000) {
    const body = `${next++}`.repeat(100);
    const echoed = await exchange({ ":path": "/echo", ":method": "POST" }, (stream) => stream.end(body));
    assert.equal(echoed.text, body);
  }
}
await Promise.all(Array.from({ length: 100 }, worker));

// full duplex: each piece comes back before the next is sent
await new Promise((resolve, reject) => {
  const stream = session.request({ ":path": "/echo", ":method": "POST" });
  let rounds = 0;
  stream.on("error", reject);
  stream.on("data", () => (++rounds < 10 ? stream.write("ping") : stream.end()));
  stream.on("end", () => (rounds === 10 ? resolve() : reject(new Error(`${rounds} rounds`))));
  stream.write("ping");
});

// an answer to an upload that nobody reads, then a request that the client gives up
const refused = await exchange({ ":path": "/refuse", ":method": "POST" }, (stream) => stream.write("x".repeat(40000)));
assert.equal(refused.headers[":status"], 403);
await new Promise((resolve) => {
  const stream = session.request({ ":path": `/bytes?n=${size}` });
  stream.once("data", () => stream.close(http2.constants.NGHTTP2_CANCEL));
  stream.on("close", resolve);
});
const ping = await new Promise((resolve, reject) =>
  session.ping((error, milliseconds) => (error ? reject(error) : resolve(milliseconds))),
);
assert.equal((await exchange({ ":path": "/hello" })).text, "hello\n");

console.log(JSON.stringify({ sha256: downloaded.sha.digest("hex"), ping, settings: session.remoteSettings }));
session.close();
