/**
 * Databases of a simulated world: real SQLite in memory, kept when a process dies. A commit survives (synchronous FULL);
 * a transaction that its process did not live to commit is rolled back. The process may die before each statement.
 */
import { DatabaseSync } from 'node:sqlite'
import type { World } from './world.ts'

/** Text that makes a database as another one is: its schema and its rows. */
export function contentOf(file: DatabaseSync): string {
  const made = file
    .prepare(
      "select name, type, sql from sqlite_master where sql is not null and name not like 'sqlite_%' order by rowid",
    )
    .all() as { name: string; type: string; sql: string }[]
  const rows = made
    .filter(({ type }) => type === 'table')
    .flatMap(({ name }) =>
      file
        .prepare(`select * from "${name}"`)
        .all()
        .map((row) => `insert into "${name}" values (${Object.values(row).map(literal).join(',')})`),
    )
  return [...made.map(({ sql }) => sql), ...rows].join(';\n')
}

function literal(value: unknown): string {
  if (value === null) return 'null'
  return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value)
}

export class SimulatedDatabases {
  readonly #world: World
  readonly #files = new Map<string, DatabaseSync>()

  constructor(world: World) {
    this.#world = world
  }

  /** The file behind a path of a machine; the scenario may look into it at any time. */
  file(machine: string, path: string, content?: string): DatabaseSync {
    const name = `${machine}:${path}`
    let file = this.#files.get(name)
    if (file === undefined) {
      file = new DatabaseSync(':memory:', { enableForeignKeyConstraints: true })
      if (content !== undefined) file.exec(content)
      this.#files.set(name, file)
    }
    return file
  }

  close(): void {
    for (const file of this.#files.values()) file.close()
    this.#files.clear()
  }

  /** `new DatabaseSync(path)` of the current process. */
  open(path: string) {
    const world = this.#world
    const process = world.requireProcess()
    const file = this.file(process.machine.name, path)
    process.databases.add(file)
    const stepping = <Result>(label: string, work: () => Result): Result => {
      world.step(label)
      return work()
    }
    return {
      get isTransaction() {
        return file.isTransaction
      },
      get isOpen() {
        return true
      },
      exec(sql: string) {
        stepping(sql.includes('pragma') ? 'pragmas' : sql, () => file.exec(sql))
      },
      prepare(sql: string) {
        const statement = file.prepare(sql)
        const label = `sql ${sql.slice(0, 40)}`
        return {
          columns: () => statement.columns(),
          all: (...values: Parameters<typeof statement.all>) => stepping(label, () => statement.all(...values)),
          run: (...values: Parameters<typeof statement.run>) => stepping(label, () => statement.run(...values)),
          iterate: (...values: Parameters<typeof statement.iterate>) =>
            stepping(label, () => statement.iterate(...values)),
        }
      },
      close() {
        process.databases.delete(file)
      },
    }
  }
}
