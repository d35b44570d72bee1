// sharp on one picture, in a process of its own; prints its figures as JSON. Started by imaging.py.

import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import { performance } from "node:perf_hooks";

const job = JSON.parse(process.argv[2]);
const sharp = createRequire(`${job.node_modules}/`)("sharp");
sharp.cache(false);
sharp.concurrency(1);

const [width, height] = job.size;
const options = {
  jpeg: { quality: job.quality },
  webp: { quality: job.quality, effort: job.effort },
  avif: { quality: job.quality, effort: job.effort },
  png: { compressionLevel: job.effort },
  gif: { effort: job.effort },
}[job.target];

const engine = (body) =>
  sharp(body, { pages: job.frames > 1 ? -1 : 1 }).resize(width, height, { fit: "fill" }).toFormat(job.target, options).toBuffer();

function statusMb(field) {
  const line = readFileSync("/proc/self/status", "utf8").split("\n").find((one) => one.startsWith(field));
  return Number(line.split(/\s+/)[1]) / 1024;
}

const body = readFileSync(job.picture);
const idleMb = statusMb("VmRSS");
const result = await engine(body);
const peakMb = statusMb("VmHWM") - idleMb;
writeFileSync(job.out, result);

let cheapest = Infinity;
const end = performance.now() + job.seconds * 1000;
while (performance.now() < end) {
  const start = process.cpuUsage();
  await engine(body);
  const used = process.cpuUsage(start);
  cheapest = Math.min(cheapest, (used.user + used.system) / 1000);
}
console.log(JSON.stringify({ cpu_ms: cheapest, peak_mb: peakMb }));
