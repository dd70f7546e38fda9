# shellcheck shell=bash
# Protects: V8 beside us: threads that come and go, array buffers allocated in one thread and freed by the collector of
# another, zlib and crypto in the thread pool.
# needs: node:nodejs

cat >program.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib'), fs = require('fs'), { execFileSync } = require('child_process');
const digest = (x) => crypto.createHash('sha256').update(x).digest('hex').slice(0, 16);

function churn(seed) {
    const map = new Map();
    for (let i = 0; i < 60000; i++) {
        map.set(`k${(i * seed) % 10007}`, { i, text: 'x'.repeat(i % 50), list: [i, i + 1] });
        if (i % 3 === 0) map.delete(`k${i % 10007}`);
    }
    return [map.size, digest(JSON.stringify([...map]))];
}

if (!isMainThread) {
    const buffers = [];
    for (let i = 0; i < 300; i++) buffers.push(Buffer.allocUnsafeSlow(1000 + i * 50).fill(i));
    const out = new Uint8Array(1 << 20).fill(workerData);
    parentPort.postMessage({ id: workerData, churn: churn(workerData), sum: digest(Buffer.concat(buffers)), out }, [out.buffer]);
} else {
    fs.writeFileSync('maps.node', fs.readFileSync('/proc/self/maps'));
    const run = (id) => new Promise((done, fail) => {
        const worker = new Worker(__filename, { workerData: id });
        let result;
        worker.on('message', (m) => { result = [m.id, m.churn, m.sum, digest(m.out)]; });
        worker.on('error', fail);
        worker.on('exit', (code) => done([...result, code]));
    });
    (async () => {
        const primes = [3, 5, 7, 11, 13, 17, 19, 23];
        for (let i = 0; i < primes.length; i += 4)
            for (const r of await Promise.all(primes.slice(i, i + 4).map(run))) console.log(JSON.stringify(r));
        console.log('main', churn(29));
        const text = Buffer.from('the quick brown fox '.repeat(50000));
        const packed = await Promise.all(Array.from({ length: 16 }, (_, i) => new Promise((done, fail) =>
            zlib.deflate(text.subarray(i * 100), (e, b) => (e ? fail(e) : done(digest(zlib.inflateSync(b))))))));
        console.log('zlib', digest(packed.join()));
        const keys = await Promise.all([1, 2, 3, 4].map((i) => new Promise((done, fail) =>
            crypto.scrypt('secret', `salt${i}`, 32, (e, k) => (e ? fail(e) : done(k.toString('hex')))))));
        console.log('scrypt', keys.join(' '));
        for (let i = 0; i < 40; i++) Buffer.alloc(8 << 20, i);
        console.log(execFileSync(process.execPath, ['-p', '[1,2,3].map((x) => x * x).join()']).toString().trim());
        console.log(digest(JSON.stringify(JSON.parse(JSON.stringify(Array.from({ length: 50000 }, (_, i) => ({ i, s: `${i}` })))))));
    })();
}
END

preload
proof node -
node program.js
proof_maps 'node with workers' maps.node
