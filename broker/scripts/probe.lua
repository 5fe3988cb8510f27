-- Prove that the store can write, durably. KEYS[6]: a key of no meaning.
redis.call('SET', KEYS[6], NOW, 'PX', '60000')
return { 'ok', NOW, {} }
