/** What a source file imports. */
import { dirname, join, normalize } from 'node:path/posix';
import ts from 'typescript';
import { readSource } from './files.ts';

export interface Import {
  /** The importing file, below the root. */
  from: string;
  /** As it is written. */
  specifier: string;
  /** The imported file, below the root; undefined for packages and Node's own modules. */
  file?: string;
  /** Names that are imported, where they are named. */
  names: string[];
  /** `import type`, or only types among the names: gone at run time. */
  typeOnly: boolean;
}

/** Every static and dynamic import and re-export of a `.ts` or `.vue` file. */
export function importsOf(path: string): Import[] {
  const text = path.endsWith('.vue') ? scripts(readSource(path)) : readSource(path);
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, names: string[], typeOnly: boolean): void => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    const file = resolveFile(path, specifier.text);
    found.push({
      from: path,
      specifier: specifier.text,
      names,
      typeOnly,
      ...(file === undefined ? {} : { file }),
    });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, namesOf(node), isTypeOnly(node));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, [], node.isTypeOnly);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], [], false);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, [], true);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** The contents of a component's script blocks. */
function scripts(vue: string): string {
  return [...vue.matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g)].map((match) => match[1]).join('\n');
}

function bindings(node: ts.ImportDeclaration): readonly ts.ImportSpecifier[] {
  const named = node.importClause?.namedBindings;
  return named !== undefined && ts.isNamedImports(named) ? named.elements : [];
}

function namesOf(node: ts.ImportDeclaration): string[] {
  return bindings(node).map((element) => (element.propertyName ?? element.name).text);
}

function isTypeOnly(node: ts.ImportDeclaration): boolean {
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const elements = bindings(node);
  return clause.name === undefined && elements.length > 0 && elements.every((element) => element.isTypeOnly);
}

/** Relative paths and the package's own `#folder/…` names; a query as in `?modulePath` is no part of the name. */
function resolveFile(from: string, specifier: string): string | undefined {
  const path = specifier.replace(/\?.*$/, '');
  if (path.startsWith('#')) return path.slice(1);
  return path.startsWith('.') ? normalize(join(dirname(from), path)) : undefined;
}
