// Calls the real @coze/api: what it gives for each workflow, one line of JSON for each call.
// Arguments: the folder of node_modules, the base address, the token, then workflow ids.
import { createRequire } from 'node:module';

const [modules, baseURL, token, ...workflowIds] = process.argv.slice(2);
const { CozeAPI } = createRequire(`${modules}/`)('@coze/api');
const coze = new CozeAPI({ token, baseURL });

const say = (call, value) => console.log(JSON.stringify({ call, value }));
const failure = (error) => ({ error: error.constructor.name, code: error.code, msg: error.msg ?? null });

async function attempt(call, work) {
  try {
    say(call, await work());
  } catch (error) {
    say(call, failure(error));
  }
}

async function collect(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

for (const workflow_id of workflowIds) {
  const parameters = { city: '巴黎', size: 100000 };
  await attempt(`run ${workflow_id}`, () => coze.workflows.runs.create({ workflow_id, parameters }));
  await attempt(`stream ${workflow_id}`, () => collect(coze.workflows.runs.stream({ workflow_id, parameters })));
}

const asking = '7000000000000000005';
await attempt('ask and answer', async () => {
  const asked = await collect(coze.workflows.runs.stream({ workflow_id: asking, parameters: {} }));
  const { event_id, type } = asked.at(-1).data.interrupt_data;
  const answered = coze.workflows.runs.resume({
    workflow_id: asking, event_id, resume_data: 'Paris', interrupt_type: type,
  });
  return [asked, await collect(answered)];
});
await attempt('background and history', async () => {
  const workflow_id = '7000000000000000006';
  const parameters = { delay_ms: 20 };
  const started = await coze.workflows.runs.create({ workflow_id, parameters, is_async: true });
  for (;;) {
    const [told] = await coze.workflows.runs.history(workflow_id, started.execute_id);
    if (told.execute_status !== 'Running') return told;
  }
});
await attempt('speech', async () => {
  const sound = await coze.audio.speech.create({ input: '你好', voice_id: '1' });
  return Buffer.from(sound).toString();
});
await attempt('chat', () => collect(coze.workflows.chat.stream({
  workflow_id: '7000000000000000001', bot_id: '73',
  additional_messages: [{ role: 'user', type: 'question', content: 'How is it?', content_type: 'text' }],
})));
