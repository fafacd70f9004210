import type { AnyKysely } from '../../foundation/database.ts'

export async function up(_database: AnyKysely): Promise<void> {}
