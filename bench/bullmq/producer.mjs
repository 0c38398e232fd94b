// node producer.mjs MODE COUNT RATE RESULT: see ../jobs_app.py, which does the same with the generated service.
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Queue } from 'bullmq'
import { NAME, connection, cpu, now, options } from './common.mjs'

const [mode, count, rate, result] = [process.argv[2], +process.argv[3], +process.argv[4], process.argv[5]]
const queue = new Queue(NAME, { connection, defaultJobOptions: options })
const data = (n) => ({ n, at: now() })
const add = (n) => queue.add('count', data(n))

const modes = {
  async sequential() {
    for (let n = 0; n < count; n++) await add(n)
  },
  async concurrent() {
    let next = 0
    const lane = async () => {
      while (next < count) await add(next++)
    }
    await Promise.all(Array.from({ length: 32 }, lane))
  },
  async bulk() {
    for (let first = 0; first < count; first += 100) {
      const jobs = []
      for (let n = first; n < Math.min(first + 100, count); n++) jobs.push({ name: 'count', data: data(n) })
      await queue.addBulk(jobs)
    }
  },
  async steady() {
    const begun = now()
    const added = []
    for (let n = 0; n < count; n++) {
      const early = (begun + (n * 1e9) / rate - now()) / 1e6
      if (early > 0) await sleep(early)
      added.push(add(n))
    }
    await Promise.all(added)
  },
}

await queue.waitUntilReady()
for (let n = 1; n <= 20; n++) await add(-n) // warms up; not counted
const used = cpu()
const begun = now()
await modes[mode]()
writeFileSync(result, JSON.stringify({ seconds: (now() - begun) / 1e9, cpu_s: cpu() - used }))
if (mode === 'steady') await sleep(1000) // as a process that goes on
await queue.close()
