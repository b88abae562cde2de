// SPDX-License-Identifier: GPL-3.0-or-later
// Compiles a job as Flamenco's manager does, with a stand-in `author`: node compiled.js SCRIPT SETTINGS -> JSON.
const fs = require("fs");
const vm = require("vm");

const author = {
    Task: (name, type) => ({
        name, type, commands: [], dependencies: [],
        addCommand(command) { this.commands.push(command); },
        addDependency(task) { this.dependencies.push(task.name); },
    }),
    Command: (name, parameters) => ({ name, parameters }),
};
const job = { settings: {}, tasks: [], addTask(task) { this.tasks.push(task); } };
const script = fs.readFileSync(process.argv[2], "utf8") + "\n;({ JOB_TYPE, compileJob });";
const { JOB_TYPE, compileJob } = vm.runInNewContext(script, { author });
for (const each of JOB_TYPE.settings) {
    if ("default" in each) job.settings[each.key] = each.default;
}
Object.assign(job.settings, JSON.parse(process.argv[3]));
try {
    compileJob(job);
    console.log(JSON.stringify({ type: JOB_TYPE, tasks: job.tasks }));
} catch (error) {
    console.log(JSON.stringify({ problem: error.message }));
}
