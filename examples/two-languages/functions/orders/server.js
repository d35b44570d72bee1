// Takes shop.order.placed and answers with shop.order.confirmed, which the Broker sends on. Plain Node.js, no packages:
// a CloudEvent in binary mode is a POST whose attributes are the headers that begin with ce-.
const http = require('http');
const { randomUUID } = require('crypto');

const currency = process.env.CURRENCY || 'EUR';

const server = http.createServer(async (request, response) => {
  if (request.url === '/health') {
    response.writeHead(200).end('ok');
    return;
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const order = JSON.parse(Buffer.concat(chunks).toString());
  const total = order.items.reduce((sum, item) => sum + item.price * item.count, 0);
  console.log(`order ${order.number}: ${total} ${currency}`);
  response.writeHead(200, {
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-type': 'shop.order.confirmed',
    'ce-source': '/shop/orders',
    'ce-id': randomUUID(),
    'ce-subject': String(order.number),
  });
  response.end(JSON.stringify({ number: order.number, total, currency }));
});

server.listen(Number(process.env.PORT), process.env.HOST);

// Knative sends SIGTERM before it removes an instance: finish what is under way.
process.on('SIGTERM', () => server.close(() => process.exit(0)));
