// Reads Bicep and YAML for the tests. Standard input: [{ name, text }, …]. Standard output, in the same order: of a Bicep file what it declares, every
// property of its objects, the names it uses and its syntax errors, each with its place in the text; of a YAML file its content.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

// The packages are installed elsewhere: the argument is that folder.
const require = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'));
const { Parser, Language } = require('web-tree-sitter');
const { parse: parseYaml } = require('yaml');

await Parser.init();
const parser = new Parser();
parser.setLanguage(await Language.load(require.resolve('tree-sitter-bicep/tree-sitter-bicep.wasm')));

const kinds = {
  parameter_declaration: 'param', variable_declaration: 'var', resource_declaration: 'resource', module_declaration: 'module', output_declaration: 'output',
};
const place = node => ({ start: node.startIndex, end: node.endIndex });
const unquoted = node => node.type === 'string' ? node.text.slice(1, -1) : node.text;

function readBicep(text) {
  const tree = parser.parse(text);
  const file = { declarations: [], properties: [], names: [], errors: [] };
  let decorators = {};

  function visit(node, owner, path, locals) {
    if (node.isError || node.isMissing) file.errors.push({ text: node.text.slice(0, 60), ...place(node) });
    if (kinds[node.type]) return declare(node, owner, locals);
    if (node.type === 'decorators') {
      for (const call of node.descendantsOfType('call_expression').filter(call => call.parent.type === 'decorator')) {
        decorators[call.childForFieldName('function').text] = call.childForFieldName('arguments').text.slice(1, -1);
      }
      return;
    }
    if (node.type === 'object_property' && node.namedChildCount === 2) {
      const [key, value] = node.namedChildren;
      const below = (path && path + '.') + unquoted(key);
      file.properties.push({ owner, path: below, name: unquoted(key), value: value.text, nameEnd: key.endIndex - (key.type === 'string' ? 1 : 0), ...place(node) });
      for (const part of key.descendantsOfType('interpolation')) visit(part, owner, below, locals);
      return visit(value, owner, below, locals);
    }
    if (node.type === 'for_statement' || node.type === 'lambda_expression') {
      const header = node.type === 'for_statement' ? node.childForFieldName('initializer') : node.namedChildren[0];
      const inside = new Set([...locals, ...(header.type === 'identifier' ? [header.text] : header.descendantsOfType('identifier').map(name => name.text))]);
      for (const child of node.namedChildren) if (child.id !== header.id) visit(child, owner, path, inside);
      return;
    }
    if (node.type === 'identifier' && !locals.has(node.text)) file.names.push({ owner, text: node.text, ...place(node) });
    for (const child of node.namedChildren) visit(child, owner, node.type === 'array' ? path + '[]' : path, locals);
    if (node.hasError) for (const child of node.children) if (!child.isNamed && child.isMissing) file.errors.push({ text: 'missing ' + child.type, ...place(child) });
  }

  function declare(node, owner, locals) {
    const [name, ...rest] = node.namedChildren;
    const kind = kinds[node.type];
    const symbol = owner ? `${owner}/${name.text}` : name.text;
    let type = null;
    if (kind !== 'var') type = unquoted(rest.shift());
    const last = rest.at(-1);
    file.declarations.push({
      kind, name: symbol, type, decorators, value: last?.text ?? null,
      condition: last?.type === 'if_statement' ? last.namedChildren[0].text : null, isLoop: last?.type === 'for_statement', ...place(node),
    });
    decorators = {};
    for (const child of rest) visit(child, symbol, '', locals);
  }

  visit(tree.rootNode, '', '', new Set());
  return file;
}

const sources = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(sources.map(({ name, text }) => name.endsWith('.bicep') ? readBicep(text) : parseYaml(text))));
