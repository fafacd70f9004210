/** What tables a database has, whatever its kind: columns, key, and which other tables a table leans on. */
import { sql } from 'kysely'
import type { AnyKysely, OpenedDatabase } from '../database.ts'
import { foundationFaults } from '../errors.ts'

/** One of the two databases of a copy; `kysely` may be a transaction. */
export interface Side {
  kysely: AnyKysely
  kind: OpenedDatabase['kind']
}

export interface TableShape {
  name: string
  /** In alphabetical order: the order of the database differs after an `alter table`. */
  columns: { name: string; type: string }[]
  /** The primary key, in its order. */
  key: string[]
  /** Tables that must have their rows first. */
  leansOn: string[]
}

/** The bookkeeping of an unfinished move; it is in the database that is being filled. */
export const moveTable = 'cygnet_move'

const knownTypes = new Set(['text', 'integer', 'bigint', 'double precision'])

/** All tables of ours, each after those it leans on. */
export async function tableShapes(side: Side): Promise<TableShape[]> {
  const found = side.kind === 'sqlite' ? await sqliteShapes(side.kysely) : await postgresShapes(side.kysely)
  for (const { name, key, columns } of found) {
    if (key.length === 0) throw new Error(`table ${name} has no primary key`)
    const strange = columns.find(({ type }) => !knownTypes.has(type))
    if (strange !== undefined) throw new Error(`column ${name}.${strange.name} is of type ${strange.type}`)
  }
  return inOrder(found)
}

/** True when a database has that table. */
export async function hasTable({ kysely, kind }: Side, name: string): Promise<boolean> {
  const { rows } =
    kind === 'sqlite'
      ? await sql`select 1 from sqlite_schema where type = 'table' and name = ${name}`.execute(kysely)
      : await sql`select 1 from pg_tables where schemaname = current_schema() and tablename = ${name}`.execute(kysely)
  return rows.length > 0
}

/** Throws unless both have the same tables with the same columns. */
export function requireSameShapes(one: TableShape[], other: TableShape[]): void {
  const text = (shapes: TableShape[]) =>
    new Map(shapes.map(({ name, columns, key }) => [name, JSON.stringify({ columns, key })]))
  const [left, right] = [text(one), text(other)]
  const differing = [...new Set([...left.keys(), ...right.keys()])].filter((name) => left.get(name) !== right.get(name))
  if (differing.length === 0) return
  throw foundationFaults.migrationFailed(`The tables of the two databases differ: ${differing.join(', ')}.`, {
    hint: 'Somebody has changed them by hand, or added tables of their own; put those elsewhere.',
  })
}

interface ColumnRow {
  table: string
  column: string
  type: string
  /** Place in the primary key, or null. */
  place: number | null
}

async function sqliteShapes(kysely: AnyKysely): Promise<TableShape[]> {
  const columns = await sql<ColumnRow>`
    select t.name as "table", c.name as "column", lower(c.type) as type, nullif(c.pk, 0) as place
    from sqlite_schema t, pragma_table_info(t.name) c where t.type = 'table' and t.name not like 'sqlite_%'
  `.execute(kysely)
  const references = await sql<{ table: string; other: string }>`
    select t.name as "table", f."table" as other
    from sqlite_schema t, pragma_foreign_key_list(t.name) f where t.type = 'table'
  `.execute(kysely)
  return shapesOf(columns.rows, references.rows)
}

async function postgresShapes(kysely: AnyKysely): Promise<TableShape[]> {
  const columns = await sql<ColumnRow>`
    select t.relname as "table", a.attname as "column", format_type(a.atttypid, a.atttypmod) as type,
           array_position(i.indkey::int2[], a.attnum) as place
    from pg_class t
    join pg_namespace n on n.oid = t.relnamespace
    join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    left join pg_index i on i.indrelid = t.oid and i.indisprimary
    where t.relkind = 'r' and n.nspname = current_schema()
  `.execute(kysely)
  const references = await sql<{ table: string; other: string }>`
    select t.relname as "table", o.relname as other
    from pg_constraint c
    join pg_class t on t.oid = c.conrelid join pg_class o on o.oid = c.confrelid
    join pg_namespace n on n.oid = t.relnamespace
    where c.contype = 'f' and n.nspname = current_schema()
  `.execute(kysely)
  return shapesOf(columns.rows, references.rows)
}

function shapesOf(columns: ColumnRow[], references: { table: string; other: string }[]): TableShape[] {
  const byTable = Map.groupBy(columns, ({ table }) => table)
  byTable.delete(moveTable)
  return [...byTable].map(([name, own]) => ({
    name,
    columns: own
      .map(({ column, type }) => ({ name: column, type }))
      .toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    key: own
      .filter(({ place }) => place !== null)
      .toSorted((one, other) => one.place! - other.place!)
      .map(({ column }) => column),
    leansOn: [
      ...new Set(references.filter(({ table, other }) => table === name && other !== name).map((r) => r.other)),
    ],
  }))
}

function inOrder(shapes: TableShape[]): TableShape[] {
  const waiting = new Map(shapes.toSorted((one, other) => (one.name < other.name ? -1 : 1)).map((s) => [s.name, s]))
  const done: TableShape[] = []
  while (waiting.size > 0) {
    const next = [...waiting.values()].find(({ leansOn }) => leansOn.every((name) => !waiting.has(name)))
    if (next === undefined) throw new Error(`tables lean on each other: ${[...waiting.keys()].join(', ')}`)
    waiting.delete(next.name)
    done.push(next)
  }
  return done
}
