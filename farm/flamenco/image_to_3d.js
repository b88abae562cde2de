// SPDX-License-Identifier: GPL-3.0-or-later
// A job type for Flamenco 3 (https://flamenco.blender.org): many pictures to meshes, and an asset library of them.
//
// Copy this file into the folder `scripts` beside the manager. On each worker's machine the program lies where the
// setting "program" says, with its environment made (python3 -m envs create core); pictures and results lie on storage
// that all of them see. Each task makes every Nth picture, so that nobody has to know which there are; the last one
// finds all that the others have made, tries again what failed, and writes the contact sheet and the asset library.

const JOB_TYPE = {
    label: "Image to 3D",
    description: "Makes a textured mesh of each picture in a folder, and an asset library of all of them.",
    settings: [
        { key: "pictures", type: "string", subtype: "dir_path", required: true, visible: "submission",
          description: "Folder of pictures, or a list of them (.txt, .csv, .jsonl), where all workers see it" },
        { key: "results", type: "string", subtype: "dir_path", required: true, visible: "submission",
          description: "Folder for meshes, contact sheet and asset library, where all workers see it" },
        { key: "count", type: "int32", default: 100, propargs: { min: 1, max: 10000000 }, visible: "submission",
          description: "How many pictures there are, about. Only the number of tasks depends on it: none is left out" },
        { key: "chunk", type: "int32", default: 10, propargs: { min: 1, max: 10000 }, visible: "submission",
          description: "Pictures for each task: a task takes a second longer than its pictures" },
        { key: "preset", type: "string", choices: ["fast", "balanced", "high"], default: "balanced",
          visible: "submission", description: "How fine meshes and textures are" },
        { key: "model", type: "string", default: "", visible: "submission",
          description: "depth, nerf, diffusion, hybrid, or one of their networks. Empty: what suits each picture" },
        { key: "options", type: "string", default: "", visible: "submission",
          description: "Options with spaces between them, such as: fov=60 solid=true" },
        { key: "sets", type: "bool", default: false, visible: "submission",
          description: "Each folder in the folder holds several photos of one thing" },
        { key: "library", type: "bool", default: true, visible: "submission",
          description: "Make .blend files of marked assets with previews and catalogues" },
        { key: "program", type: "string", default: "{image_to_3d}", visible: "submission",
          description: "Folder of Image to 3D on the workers. {image_to_3d} is a variable of the manager's settings" },
        { key: "python", type: "string", default: "python3", visible: "submission",
          description: "A Python 3.11 or later on the workers, to find the program's own environment with" },
        { key: "blender", type: "string", default: "{blender}", visible: "hidden",
          description: "Blender on the workers, for the asset library" },
    ],
};

const PLACE = /^(\/|[A-Za-z]:[\\/]|\\\\|\{\w+\})/;

function compileJob(job) {
    const settings = job.settings;
    for (const name of ["pictures", "results"]) {
        if (!PLACE.test(settings[name] || "")) {
            throw new Error(`${name} must be a whole path, not ${JSON.stringify(settings[name] || "")}`);
        }
    }
    const parts = Math.max(1, Math.ceil(settings.count / settings.chunk));
    const last = author.Task("gather", settings.library ? "blender" : "misc");
    last.addCommand(commandOf(settings, settings.library ? [`--blender=${settings.blender}`] : []));
    for (let part = 1; part <= parts; part++) {
        const task = author.Task(`pictures-${part}-of-${parts}`, "misc");
        task.addCommand(commandOf(settings, [`--part=${part}/${parts}`, "--failures-later"]));
        job.addTask(task);
        last.addDependency(task);
    }
    job.addTask(last);
}

// Nothing here is read by a shell: each argument arrives as it is.
function commandOf(settings, more) {
    const chosen = settings.model ? [`--model=${settings.model}`] : [];
    const options = (settings.options || "").split(/\s+/).filter((each) => each).map((each) => `--set=${each}`);
    return author.Command("exec", {
        exe: settings.python,
        args: [
            `${settings.program}/envs`, "run", "batch", settings.pictures, `--output=${settings.results}`,
            `--preset=${settings.preset}`, ...chosen, ...options, ...(settings.sets ? ["--sets"] : []), ...more,
        ],
    });
}
