/** npm run graph: prints the room graph for ARCHITECTURE.md. */
import { drawRooms } from './floors.ts'

process.stdout.write(`${await drawRooms()}\n`)
