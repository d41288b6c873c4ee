// Calls the real @coze/api as its users do: runs at once, a question that is answered while its stream is open, chats,
// a conversation and a file. One line of JSON for each program.
// Arguments: the folder of node_modules, the base address, the token.
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const [modules, baseURL, token] = process.argv.slice(2);
const { CozeAPI, RoleType } = createRequire(`${modules}/`)('@coze/api');
const coze = new CozeAPI({ token, baseURL });

const workflow = (number) => `700000000000000000${number}`;
const bot = (number) => `710000000000000000${number}`;
const say = (text) => [{ role: RoleType.User, content: text, content_type: 'text' }];

async function read(stream, answer) {
  const events = [];
  for await (const event of stream) {
    events.push(event);
    if (answer) events.push(...((await answer(event)) ?? []));
  }
  return events;
}

const programs = {
  async streams_and_answers() {
    const workflow_id = workflow(5);
    return read(coze.workflows.runs.stream({ workflow_id, parameters: { open_ms: 300 } }), async ({ event, data }) => {
      if (event !== 'Interrupt') return undefined;
      const { event_id, type } = data.interrupt_data;
      return read(coze.workflows.runs.resume({ workflow_id, event_id, resume_data: 'Oslo', interrupt_type: type }));
    });
  },
  runs: () => coze.workflows.runs.create({ workflow_id: workflow(1), parameters: { a: 'b' } }),
  async runs_in_the_background() {
    const { execute_id } = await coze.workflows.runs.create({ workflow_id: workflow(1), parameters: {}, is_async: true });
    for (;;) {
      const [history] = await coze.workflows.runs.history(workflow(1), execute_id);
      if (history.execute_status !== 'Running') return history.output;
    }
  },
  chats_with_a_workflow: () =>
    read(coze.workflows.chat.stream({
      workflow_id: workflow(2), bot_id: bot(1), parameters: {}, additional_messages: say('Hello'),
    })),
  chats_with_a_bot: () =>
    read(coze.chat.stream({ bot_id: bot(2), additional_messages: say('深圳天气') }), async ({ event, data }) => {
      if (event !== 'conversation.chat.requires_action') return undefined;
      const tool_outputs = data.required_action.submit_tool_outputs.tool_calls.map(({ id }) => (
        { tool_call_id: id, output: '13-18℃' }
      ));
      const { conversation_id, id } = data;
      return read(coze.chat.submitToolOutputs({ conversation_id, chat_id: id, tool_outputs, stream: true }));
    }),
  async chats_and_asks_later() {
    const { chat, messages } = await coze.chat.createAndPoll({ bot_id: bot(1), additional_messages: say('Hello') });
    return [chat.status, chat.usage, messages.map(({ content }) => content)];
  },
  async keeps_a_conversation() {
    const { id } = await coze.conversations.create({ messages: say('Hi'), meta_data: { a: 'b' } });
    const added = await coze.conversations.messages.create(id, { role: 'user', content: 'hi', content_type: 'text' });
    const changed = await coze.conversations.messages.update(id, added.id, { content: 'ho', content_type: 'text' });
    const listed = await coze.conversations.messages.list(id);
    await coze.conversations.messages.delete(id, added.id);
    return [changed.content, listed.data.map(({ content }) => content), await coze.conversations.retrieve(id)];
  },
  async uploads() {
    const { id } = await coze.files.upload({ file: createReadStream(fileURLToPath(import.meta.url)) });
    return coze.files.retrieve(id);
  },
};

await Promise.all(Object.entries(programs).map(async ([name, program]) => {
  console.log(JSON.stringify({ program: name, value: await program() }));
}));
