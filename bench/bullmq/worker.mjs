// node worker.mjs CONCURRENCY COUNT RESULT: does the jobs; see ../jobs_app.py, which does the same.
import { writeFileSync } from 'node:fs'
import { Worker } from 'bullmq'
import { NAME, connection, cpu, now } from './common.mjs'

const [concurrency, count, result] = [+process.argv[2], +process.argv[3], process.argv[4]]
const runs = []
const mark = {}
let warm = false

const worker = new Worker(
  NAME,
  async (job) => {
    const { n, at } = job.data
    if (n < 0) {
      if (!warm) writeFileSync(`${result}.ready`, '')
      warm = true
      return
    }
    runs.push([n, at, now()])
    if (runs.length === 1) mark.first = cpu()
    if (runs.length === count) {
      mark.last = cpu()
      writeFileSync(`${result}.last`, '')
    }
  },
  { connection, concurrency },
)
worker.on('error', (error) => console.error(error))

process.on('SIGTERM', async () => {
  await worker.close()
  writeFileSync(result, JSON.stringify({ runs, mark }))
  process.exit(0)
})
