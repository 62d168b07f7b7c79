bind "tcp://127.0.0.1:#{ENV.fetch("PORT", 3000)}"
threads 1, 3
