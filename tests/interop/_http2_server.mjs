// An HTTP/2 server on Node: node _http2_server.mjs [CERTFILE KEYFILE]; prints its port, ends with its standard input.

import crypto from "node:crypto";
import fs from "node:fs";
import http2 from "node:http2";

const [certfile, keyfile] = process.argv.slice(2);
const settings = { maxConcurrentStreams: 1000 };
const server = certfile
  ? http2.createSecureServer({ cert: fs.readFileSync(certfile), key: fs.readFileSync(keyfile), settings })
  : http2.createServer({ settings });

const routes = {
  "/hello": (stream) => {
    stream.respond({ ":status": 200, "content-type": "text/plain" });
    stream.end("hello\n");
  },
  "/hints": (stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</style.css>; rel=preload" });
    stream.respond({ ":status": 200 });
    stream.end("hinted\n");
  },
  "/trailers": (stream) => {
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-end": "1" }));
    stream.end("with trailers\n");
  },
  "/digest": (stream) => {
    const sha = crypto.createHash("sha256");
    let octets = 0;
    let trailers = null;
    stream.on("trailers", (section) => (trailers = section["x-up"] ?? null));
    stream.on("data", (chunk) => {
      sha.update(chunk);
      octets += chunk.length;
    });
    stream.on("end", () => {
      stream.respond({ ":status": 200 });
      stream.end(JSON.stringify({ octets, sha256: sha.digest("hex"), trailers }));
    });
  },
  "/echo": (stream) => {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  },
  "/refuse": (stream) => {
    stream.respond({ ":status": 403 });
    stream.end("no\n");
    stream.close(http2.constants.NGHTTP2_NO_ERROR);
  },
  "/reset": (stream) => stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM),
  "/refused-stream": (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM),
  "/goaway": (stream) => {
    stream.session.goaway(http2.constants.NGHTTP2_NO_ERROR, stream.id);
    routes["/hello"](stream);
  },
};

server.on("stream", (stream, headers) => {
  stream.on("error", () => {}); // clients leave
  const handler = routes[headers[":path"].split("?")[0]];
  if (handler) return handler(stream);
  stream.respond({ ":status": 404 });
  stream.end();
});
server.on("sessionError", () => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("close", () => process.exit(0)).resume();
