// A plain BullMQ worker that makes five renditions in one job: the AWS SDK, sharp, the AWS SDK.
//
//     node renditions_bullmq.mjs workers N    takes jobs, in so many processes
//     node renditions_bullmq.mjs producer     adds a job for each line of its input: bucket, key, name
//
// What a team writes that has BullMQ already. PEER_MODULES lists the folders of the modules; the other settings are in
// the environment too.
import cluster from "node:cluster";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { join } from "node:path";

const folders = process.env.PEER_MODULES.split(":");
function load(name) {
  for (const folder of folders) {
    try {
      return createRequire(join(folder, "package.json"))(name);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  throw new Error(`${name} is in none of ${folders}`);
}

const { Queue, Worker } = load("bullmq");
// Made here, because BullMQ looks for ioredis beside itself only.
const { Redis } = load("ioredis");
const connection = new Redis(process.env.PEER_REDIS, { maxRetriesPerRequest: null });

if (process.argv[2] === "producer") {
  const queue = new Queue("renditions", { connection, defaultJobOptions: { removeOnComplete: true } });
  await queue.waitUntilReady();
  for await (const line of createInterface({ input: process.stdin })) {
    const [bucket, key, job] = line.split(" ");
    queue.add("make", { bucket, key, job });
  }
  await queue.close();
} else if (cluster.isPrimary) {
  for (let started = 0; started < Number(process.argv[3]); started += 1) cluster.fork();
} else {
  const sharp = load("sharp");
  const { S3Client, GetObjectCommand, PutObjectCommand } = load("@aws-sdk/client-s3");
  const renditions = JSON.parse(process.env.PEER_RENDITIONS);
  const quality = Number(process.env.PEER_QUALITY);
  sharp.concurrency(1);
  sharp.cache(false);
  const s3 = new S3Client({
    endpoint: process.env.PEER_S3,
    forcePathStyle: true,
    region: "us-east-1",
    credentials: { accessKeyId: process.env.PEER_S3_KEY, secretAccessKey: process.env.PEER_S3_SECRET },
  });
  const worker = new Worker(
    "renditions",
    async ({ data: { bucket, key, job } }) => {
      const original = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      const picture = sharp(Buffer.from(await original.Body.transformToByteArray()));
      for (const [name, { width, height, fit }] of Object.entries(renditions)) {
        const body = await picture.clone().resize({ width, height, fit }).jpeg({ quality }).toBuffer();
        const put = { Bucket: bucket, Key: `peers/${job}/${name}.jpg`, Body: body, ContentType: "image/jpeg" };
        await s3.send(new PutObjectCommand(put));
      }
      await connection.publish("benchmark:done", job);
    },
    { connection, concurrency: 2 },
  );
  worker.on("failed", (job, error) => console.error(error));
  worker.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
}
