/** Reads all imports and compares them with the rules; also draws the rooms. */
import { createRequire } from 'node:module'
import { cruise, type ICruiseOptions, type ICruiseResult } from 'dependency-cruiser'
import { importRules } from './import-rules.ts'
import { isProgram, projectFiles, root } from './sources.ts'

teachUsing()

const options: ICruiseOptions = {
  baseDir: root,
  // TypeScript 7 has no compiler API: without this parser nothing would be read, and everything would pass.
  parser: 'swc',
  tsPreCompilationDeps: true,
  detectJSDocImports: false,
  // Only import statements: `context.require('site.admin')` is no import.
  moduleSystems: ['es6'],
  doNotFollow: { path: 'node_modules' },
  exclude: { path: '(^|/)(node_modules|build|out)/.*' },
  validate: true,
  ruleSet: { forbidden: importRules },
}

const resolve = {
  extensions: ['.ts', '.tsx', '.js', '.json'],
  conditionNames: ['import', 'node', 'default'],
  exportsFields: ['exports'],
}

export interface FloorsReport {
  read: number
  expected: number
  violations: string[]
}

export async function checkFloors(): Promise<FloorsReport> {
  const programs = projectFiles().filter(isProgram)
  const folders = [...new Set(programs.map((path) => path.split('/')[0]!))]
  const { exclude: _exclude, ...rest } = options
  const { output } = await cruise(folders, { ...rest, outputType: undefined as never }, resolve)
  const { modules, summary } = output as ICruiseResult
  const read = new Set(modules.map(({ source }) => source))
  const unread = programs.filter((path) => !read.has(path)).map((path) => `${path} was not read`)
  const violations = summary.violations.map(({ from, to, rule }) => {
    const comment = importRules.find(({ name }) => name === rule.name)?.comment
    return `${from} → ${to}: ${rule.name}${comment === undefined ? '' : ` (${comment})`}`
  })
  return { read: programs.length - unread.length, expected: programs.length, violations: [...unread, ...violations] }
}

/** The rooms and who imports whom, as a Mermaid flow chart. */
export async function drawRooms(): Promise<string> {
  const { exclude: _exclude, ruleSet: _rules, ...rest } = options
  const drawing: ICruiseOptions = {
    ...rest,
    validate: false,
    includeOnly: { path: '^src/' },
    exclude: { path: '\\.test\\.tsx?$' },
    collapse: '^src/[^/]+',
    outputType: 'mermaid',
  }
  const { output } = await cruise(['src'], drawing, resolve)
  return output as string
}

/** swc parses `await using`, but the visitor that comes with it refuses to walk over it. */
function teachUsing(): void {
  interface Statement {
    type: string
    decls?: unknown[]
  }
  interface Visitor {
    visitStatement(statement: Statement): Statement
    visitVariableDeclarators(declarators: unknown[]): unknown[]
  }
  const { Visitor: visitor } = createRequire(import.meta.url)('@swc/core/Visitor.js') as {
    Visitor: { prototype: Visitor }
  }
  const { visitStatement } = visitor.prototype
  visitor.prototype.visitStatement = function visitAnyStatement(statement) {
    if (statement.type !== 'UsingDeclaration') return visitStatement.call(this, statement)
    this.visitVariableDeclarators(statement.decls ?? [])
    return statement
  }
}
