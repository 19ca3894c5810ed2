// Classifies texts with an exported model in Node.js, without Python: see onnx_export.py.
//
//     node examples/onnx_node.cjs exported/ "clean room" "rude staff"
//
// text -> words -> ids, cut to max_length and padded with 0 -> model.onnx -> probabilities -> label
"use strict";
const fs = require("fs");
const path = require("path");
const ort = require("onnxruntime-node");

const read = (directory, name) => fs.readFileSync(path.join(directory, name), "utf8");

async function main([directory, ...texts]) {
  const settings = JSON.parse(read(directory, "preprocessing.json"));
  const labels = JSON.parse(read(directory, "labels.json"));
  if (settings.tokenizer.kind !== "whitespace" || settings.forms.length !== 1) {
    throw new Error("this example cuts words at white space: train with tokenizer='whitespace' and textcnn");
  }
  const [form] = settings.forms;
  const ids = new Map(read(directory, form.vocabulary).split("\n").slice(0, -1).map((token, id) => [token, id]));
  const rows = texts.map((text) =>
    text.split(/\s+/u).filter(Boolean).slice(0, form.max_length).map((token) => ids.get(token) ?? form.unk_id)
  );
  const lengths = rows.map((row) => Math.max(1, row.length));
  const width = Math.max(...lengths);
  const padded = rows.flatMap((row) => [...row, ...Array(width - row.length).fill(0)]);
  const int64 = (values, shape) => new ort.Tensor("int64", BigInt64Array.from(values.map(BigInt)), shape);

  const session = await ort.InferenceSession.create(path.join(directory, settings.program.file));
  const inputs = [int64(padded, [rows.length, width]), int64(lengths, [rows.length])];
  const feeds = Object.fromEntries(settings.inputs.map((input, i) => [input.name, inputs[i]]));
  const { probabilities } = await session.run(feeds);
  texts.forEach((text, i) => {
    const row = Array.from(probabilities.data.slice(i * labels.length, (i + 1) * labels.length));
    const best = row.indexOf(Math.max(...row));
    console.log([text, labels[best], row[best].toFixed(4)].join("\t"));
  });
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
