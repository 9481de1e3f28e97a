// Runs Azurite for the local host and closes it properly however that host ends.
//
// Azurite keeps its tables and its index of blobs in memory and writes them to disk every five seconds and when it closes. A host that is killed
// cannot ask it to close, so this script watches for the host: standard input is a pipe from the host that started it, and every further host on
// the same data holds a connection to the control port. When all of them are gone, however they went, Azurite closes and saves.
//
// Called as: node azurite.mjs STATE_FILE AZURITE_ENTRY AZURITE_ARGUMENTS…   (STATE_FILE is "-" for data in memory.)
// The state file is written before Azurite starts and removed when it has saved; it tells other hosts the ports. A host that connects to the
// control port reads "ready" (then Azurite lives at least as long as the connection) or "closing" (then the connection ends with the process).

import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';

const SaveMillisecondsMax = 60_000;

const [stateFile, entry] = process.argv.splice(2, 2);
const requireFromAzurite = createRequire(entry);
const databases = collectDatabases();
const hosts = new Set();
let closeAzurite = null;
let closing = false;
let stdinEnded = false;

// Writing to the pipes of a dead host fails; that must not end Azurite before it has saved.
process.stdout.on('error', () => { });
process.stderr.on('error', () => { });

// The terminal sends these to the host and to us alike. Only the host decides: it still needs its storage to finish what it is doing.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGBREAK']) {
  process.on(signal, () => { });
}

process.on('SIGTERM', close);
captureHandlerOfAzurite();

process.stdin.resume();
for (const event of ['end', 'close', 'error']) {
  process.stdin.on(event, () => {
    stdinEnded = true;
    closeWhenAlone();
    if (!closing) {
      console.log(`Azurite stays for ${hosts.size} other host(s).`);
    }
  });
}

const control = createServer(socket => {
  socket.on('error', () => { });
  socket.on('close', () => {
    hosts.delete(socket);
    closeWhenAlone();
  });
  hosts.add(socket);
  socket.resume();
  socket.write(closing ? 'closing\n' : 'ready\n');
});

control.listen(0, '127.0.0.1', () => {
  if (stateFile !== '-') {
    // Renamed into place, so that nobody reads half of it.
    const content = JSON.stringify({ pid: process.pid, controlPort: control.address().port });
    writeFileSync(`${stateFile}.${process.pid}`, content);
    renameSync(`${stateFile}.${process.pid}`, stateFile);
    process.on('exit', () => rmSync(stateFile, { force: true }));
  }

  requireFromAzurite(entry);
});

function closeWhenAlone() {
  if (stdinEnded && hosts.size === 0) {
    close();
  }
}

async function close() {
  if (closing) {
    return;
  }

  closing = true;
  setTimeout(() => process.exit(1), SaveMillisecondsMax);

  // Without a handler Azurite is still starting: it has acknowledged nothing yet, and saving a database that has not been read would empty it.
  if (closeAzurite === null) {
    process.exit(0);
  }

  closeAzurite();

  // Azurite's own close saves only what is marked as changed, and an autosave that failed has dropped that mark. So every database is saved once
  // more. The database queues this behind a save that is under way, and replaces its file by renaming, so the file is the old one or the new one.
  const results = await Promise.all([...databases].map(database => new Promise(done => database.saveDatabase(done))));
  const failure = results.find(error => error);
  if (failure) {
    console.error(`Azurite could not save: ${failure.message ?? failure}`);
  }

  process.exit(failure ? 1 : 0);
}

// Azurite says nothing of its databases; it makes them through this one class.
function collectDatabases() {
  const collected = new Set();
  const path = requireFromAzurite.resolve('lokijs');
  const Loki = requireFromAzurite(path);
  requireFromAzurite.cache[path].exports = class extends Loki {
    constructor(name, options) {
      super(name, options);
      if (options.persistenceMethod !== 'memory') {
        collected.add(this);
      }
    }
  };
  return collected;
}

// Azurite closes on SIGINT and SIGTERM, and registers for them when it has started. The handler is taken over for close().
function captureHandlerOfAzurite() {
  process.on('newListener', (event, listener) => {
    if (event === 'SIGINT' || event === 'SIGTERM') {
      closeAzurite = listener;
      process.nextTick(() => process.removeListener(event, listener));
    }
  });
}
