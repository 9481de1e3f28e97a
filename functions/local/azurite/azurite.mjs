// Runs Azurite for the local host and closes it properly however that host ends.
//
// Azurite keeps its tables and its index of blobs in memory and writes them to disk every five seconds and when it closes. A host that is killed
// cannot ask it to close, so this script watches for the host: standard input is a pipe from the host that started it, and every further host on
// the same data holds a connection to the control port. When all of them are gone, however they went, the data is saved and the process ends.
//
// Called as: node azurite.mjs STATE_FILE AZURITE_ENTRY AZURITE_ARGUMENTS…   (STATE_FILE is "-" for data in memory.)
// The state file names the control port. It is written before Azurite starts and removed when the data is saved. A host that connects to the control
// port and reads "ready" has joined: Azurite lives at least as long as the connection. A connection that ends without it came too late.

import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';

const WriteCharacters = 1 << 20;
const ReadBytes = 1 << 24;

const [stateFile, entry] = process.argv.splice(2, 2);
const requireFromAzurite = createRequire(entry);
const databases = collectDatabases();
const hosts = new Set();
let hasStarted = false;
let stdinEnded = false;

// Writing to the pipes of a dead host fails; that must not end Azurite before it has saved.
process.stdout.on('error', () => { });
process.stderr.on('error', () => { });

// The terminal sends these to the host and to us alike. Only the host decides: it still needs its storage to finish what it is doing.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGBREAK']) {
  process.on(signal, () => { });
}

process.on('SIGTERM', close);
noticeStart();

process.stdin.resume();
for (const event of ['end', 'close', 'error']) {
  process.stdin.on(event, () => {
    stdinEnded = true;
    closeWhenAlone();
    console.log(`Azurite stays for ${hosts.size} other host(s).`);
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
  socket.write('ready\n');
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

// All in one turn of the event loop: no request is acknowledged after the state that is saved, and nobody joins any more.
function close() {
  let isSaved = true;
  for (const database of hasStarted ? databases : []) {
    if (database.autosaveDirty()) {
      saveDatabase(database.filename, database, error => { isSaved &&= !error; });
    }
  }

  process.exit(isSaved ? 0 : 1);
}

// Azurite says nothing of its databases; it makes them through this one class. Those on disk get a way of saving that holds for any size.
function collectDatabases() {
  const collected = new Set();
  const path = requireFromAzurite.resolve('lokijs');
  const Loki = requireFromAzurite(path);
  requireFromAzurite.cache[path].exports = class extends Loki {
    constructor(name, options) {
      const isInMemory = options.persistenceMethod === 'memory';
      super(name, isInMemory ? options : { ...options, adapter: { saveDatabase, loadDatabase } });
      if (!isInMemory) {
        collected.add(this);
      }
    }

    // What saveDatabase below is given: not one text of everything, which V8 limits to 512 MiB, but the database itself.
    serialize() {
      return this;
    }
  };
  return collected;
}

// One line for the collections without their documents, then a line [collection, document] for each document. All of it is written before anything
// else happens, so the file is the state of one moment, and it takes the place of the old one whole. (A database that another Azurite wrote is one
// line with its documents in it, which loadDatabase reads too.)
function saveDatabase(path, database, done) {
  const start = performance.now();
  try {
    const file = openSync(`${path}~`, 'w');
    try {
      let text = JSON.stringify(database, function (key, value) {
        return key === 'data' && database.collections.includes(this) ? [] : database.serializeReplacer(key, value);
      }) + '\n';
      for (const [index, collection] of database.collections.entries()) {
        for (const document of collection.data) {
          text += `[${index},${JSON.stringify(document)}]\n`;
          if (text.length > WriteCharacters) {
            writeFileSync(file, text);
            text = '';
          }
        }
      }

      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }

    renameSync(`${path}~`, path);
  } catch (error) {
    // The caller has taken the marks off already. With a mark the next autosave tries again.
    database.collections[0].dirty = true;
    console.error(`Azurite could not save ${path}: ${error.message}`);
    done(error);
    return;
  }

  // Azurite answers nobody while it saves. With a lot of data it saves less often, so that it has most of its time for requests.
  database.ignoreAutosave = true;
  setTimeout(() => { database.ignoreAutosave = false; }, (performance.now() - start) * 10).unref();
  done();
}

function loadDatabase(path, done) {
  let database = null;
  try {
    forEachLine(path, line => {
      const value = JSON.parse(line);
      if (database === null) {
        database = value;
      } else {
        database.collections[value[0]].data.push(value[1]);
      }
    });
  } catch (error) {
    done(error);
    return;
  }

  done(database);
}

function forEachLine(path, use) {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(ReadBytes);
    let begun = [];
    for (let length; (length = readSync(file, buffer)) > 0;) {
      let start = 0;
      for (let end; (end = buffer.subarray(0, length).indexOf('\n', start)) >= 0; start = end + 1) {
        use(Buffer.concat([...begun, buffer.subarray(start, end)]).toString());
        begun = [];
      }

      begun.push(Buffer.from(buffer.subarray(start, length)));
    }

    const rest = Buffer.concat(begun);
    if (rest.length > 0) {
      use(rest.toString());
    }
  } finally {
    closeSync(file);
  }
}

// Azurite closes on SIGINT and SIGTERM, and registers for them when it has started. Until then it has acknowledged nothing, and saving a database
// that it has not read yet would empty it.
function noticeStart() {
  process.on('newListener', (event, listener) => {
    if (event === 'SIGINT' || event === 'SIGTERM') {
      hasStarted = true;
      process.nextTick(() => process.removeListener(event, listener));
    }
  });
}
