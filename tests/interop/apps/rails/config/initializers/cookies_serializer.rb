# As generated since Rails 4.1.
Rails.application.config.action_dispatch.cookies_serializer = :json
