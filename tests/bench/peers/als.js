// Node's AsyncLocalStorage in the model of peer.h: k stores, an AsyncResource a task.
'use strict';
const { AsyncLocalStorage, AsyncResource } = require('async_hooks');
const TASKS = 256, REPEATS = 200;
let ran = 0;
function task() { ran++; }
function bare() {
    const kept = [];
    for (let i = 0; i < TASKS; i++) kept.push(null);
    for (let i = 0; i < TASKS; i++) task();
}
function carried() {
    const kept = [];
    for (let i = 0; i < TASKS; i++) kept.push(new AsyncResource('task'));
    for (let i = 0; i < TASKS; i++) kept[i].runInAsyncScope(task);
}
function timed(batch) {
    const results = [];
    for (let i = 0; i < REPEATS; i++) {
        const begin = process.hrtime.bigint();
        batch();
        results.push(Number(process.hrtime.bigint() - begin) / TASKS);
    }
    results.sort((a, b) => a - b);
    return results[REPEATS >> 1];
}
for (const word of process.argv.slice(2)) {
    const k = Number(word);
    const stores = [];
    for (let i = 0; i < k; i++) stores.push(new AsyncLocalStorage());
    let measure = () => {
        carried(); carried(); carried();
        console.log(`peer=node-als k=${k} ns=${(timed(carried) - timed(bare)).toFixed(2)}`);
    };
    for (const store of stores) {
        const inner = measure;
        measure = () => store.run({ value: 1 }, inner);
    }
    measure();
    for (const store of stores) store.disable();
}
